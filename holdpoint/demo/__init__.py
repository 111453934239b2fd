"""What `holdpoint demo` adds to the product: a small model to talk to and a sample policy. Nothing else uses it."""
