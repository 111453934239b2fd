"""Identity providers that nobody here wrote, as programs of their own: PyPI's oidc-provider-mock, npm's oidc-provider."""
