// A real OpenID provider (npm oidc-provider) whose signing keys change while it runs.
//
// It takes commands, one a line, on standard input, and answers each with one line:
//
//   keys k1,k2    publishes these keys and signs with the first; new names make new keys
//   client JSON   registers a client that logs users in (authorization code with PKCE). Every name is a user with
//                 any password, with the role `reader`; `editor` in the name makes it an `editor`
//
// Its first line is the port that it listens on. It ends with its standard input.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

// The provider's own notices are not part of the conversation.
console.info = console.error;

const AUDIENCE = 'mesh.example.com';
const made = new Map();
let handle;
let kids = ['k1'];
let login = [];

function key(kid) {
  if (!made.has(kid)) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    made.set(kid, { ...privateKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' });
  }
  return made.get(kid);
}

// The provider takes its keys when it is made: to rotate is to make a new one, as operators do when
// they restart it.
function provide(port) {
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{
      client_id: 'alice',
      client_secret: 'a secret of the tests',
      token_endpoint_auth_method: 'client_secret_post',
      id_token_signed_response_alg: 'ES256',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    }, ...login],
    claims: { openid: ['sub', 'roles', 'tenant_id'] },
    // The roles are in the ID token itself, where the edge looks.
    conformIdTokenClaims: false,
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, roles: [id.includes('editor') ? 'editor' : 'reader'], tenant_id: 'a' }),
    }),
    pkce: { required: () => true },
    features: {
      // The provider's own pages: a login that takes every password, and a consent.
      devInteractions: { enabled: login.length > 0 },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_context, client) => (client.clientId === 'alice' ? `https://${AUDIENCE}` : undefined),
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'orders:read',
          audience: AUDIENCE,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 60,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    jwks: { keys: kids.map(key) },
  });
  return provider.callback();
}

const server = createServer((request, response) => handle(request, response));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  handle = provide(port);
  console.log(port);
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const [command, argument] = line.split(/ (.*)/);
      if (command === 'keys') kids = argument.split(',');
      else if (command === 'client') login.push(JSON.parse(argument));
      else throw new Error(`no command ${command}`);
      handle = provide(port);
      console.log(line);
    })
    .on('close', () => process.exit(0));
});
