// A certified OpenID provider: people with login and consent forms, programs with client credentials, and access
// tokens that are JSON Web Tokens for the audience "holdpoint". New keys at every start.
// node provider.mjs PORT
import { webcrypto } from "node:crypto";
import { Provider } from "oidc-provider";

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}/op`;

const PEOPLE = {
  dana: { email: "Dana@example.com", email_verified: true, name: "Dana", groups: ["contractors"] },
  eve: { email: "eve@example.com", email_verified: false, name: "Eve", groups: [] },
};

async function jwk(algorithm, kid, alg) {
  const { privateKey } = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  return { ...(await webcrypto.subtle.exportKey("jwk", privateKey)), kid, alg, use: "sig", key_ops: undefined, ext: undefined };
}

const run = Date.now().toString(36);
const keys = [
  await jwk({ name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" }, `rsa-${run}`, "RS256"),
  await jwk({ name: "ECDSA", namedCurve: "P-256" }, `ec-${run}`, "ES256"),
];

const provider = new Provider(issuer, {
  jwks: { keys },
  clients: [
    {
      client_id: "people", client_secret: "people-secret", redirect_uris: ["https://client.example.com/callback"],
      grant_types: ["authorization_code"], response_types: ["code"],
    },
    {
      client_id: "ci-7", client_secret: "ci-secret", redirect_uris: [], response_types: [],
      grant_types: ["client_credentials"],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
  scopes: ["openid", "email", "profile", "groups"],
  conformIdTokenClaims: false,
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, ...PEOPLE[id] }) }),
  extraTokenClaims: (_context, token) =>
    token.kind === "ClientCredentials" ? { owner: "kim@example.com", use: "program" } : PEOPLE[token.accountId],
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "urn:holdpoint",
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "llm", audience: "holdpoint", accessTokenFormat: "jwt", accessTokenTTL: 600, jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
  cookies: { keys: ["not a secret"] },
});
provider.proxy = true;

import { createServer } from "node:http";
const handle = provider.callback();
createServer((request, response) => {
  if (request.url.startsWith("/op")) {
    request.originalUrl = request.url;
    request.url = request.url.slice(3) || "/";
  }
  handle(request, response);
}).listen(port, "127.0.0.1");
