// A certified OpenID provider (npm oidc-provider) for tests: node op.mjs PORT '{"redirects": […], "people": {sub: claims}}'
// Its own login form takes any name and password; the name is the subject.
import { Provider } from "oidc-provider";

const port = Number(process.argv[2]);
const { redirects, people } = JSON.parse(process.argv[3]);
const web = { grant_types: ["authorization_code", "refresh_token"], response_types: ["code"], redirect_uris: redirects };

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    { client_id: "holdpoint-web", client_secret: "s3cret: with % and +", post_logout_redirect_uris: redirects.map((uri) => new URL("/sign-in", uri).href), ...web },
    {
      client_id: "holdpoint-cli",
      application_type: "native",
      token_endpoint_auth_method: "none",
      redirect_uris: ["http://127.0.0.1/callback"],
      response_types: ["code"],
      grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
  scopes: ["openid", "offline_access", "email", "profile", "groups"],
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: true }, deviceFlow: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  pkce: { required: () => true },
  // As Okta, Entra ID and Keycloak do it: for the asking, without a page of consent each time.
  issueRefreshToken: async (context, client) => client.grantTypeAllowed("refresh_token"),
  rotateRefreshToken: true,
  findAccount: async (context, sub) => people[sub] && { accountId: sub, claims: async () => ({ sub, ...people[sub] }) },
  acrValues: ["mfa"],
});
provider.listen(port, "127.0.0.1", () => console.log("ready"));
