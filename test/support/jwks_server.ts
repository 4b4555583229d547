/** An issuer's address with its public keys, on this machine: it answers as it is told, and counts how often it is asked. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

export interface Issuer {
  /** Its JWKS. */
  readonly url: string;
  asked: number;
  answer: (outgoing: ServerResponse) => void;
  /** A new key pair in the place of the ones before. */
  rotate(alg?: string): Promise<void>;
  /** Signed with the newest key; an hour long, and for user u1, unless told otherwise. */
  sign(claims?: JWTPayload, header?: Record<string, unknown>): Promise<string>;
}

export interface JwksServer {
  issuer(name: string, alg?: string): Promise<Issuer>;
  stop(): Promise<void>;
}

export async function startJwksServer(): Promise<JwksServer> {
  const issuers = new Map<string, Issuer>();
  const server = createServer((incoming, outgoing) => {
    const issuer = issuers.get(incoming.url ?? '');
    if (issuer === undefined) {
      outgoing.writeHead(404).end();
      return;
    }
    issuer.asked++;
    issuer.answer(outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    async issuer(name, alg = 'ES256') {
      let made = 0;
      let current: { alg: string; kid: string; key: CryptoKey };
      const issuer: Issuer = {
        url: `http://127.0.0.1:${port}/${name}`,
        asked: 0,
        answer: () => {},
        async rotate(next = alg) {
          const pair = await generateKeyPair(next, { extractable: true });
          const kid = `${name} ${++made}`;
          current = { alg: next, kid, key: pair.privateKey };
          const keys: JWK[] = [{ ...(await exportJWK(pair.publicKey)), kid }];
          issuer.answer = answering({ keys });
        },
        sign: (claims = {}, header = {}) =>
          new SignJWT({ sub: 'u1', iss: issuer.url, exp: Math.floor(Date.now() / 1000) + 3600, ...claims })
            .setProtectedHeader({ alg: current.alg, kid: current.kid, ...header })
            .sign(current.key),
      };
      await issuer.rotate();
      issuers.set(`/${name}`, issuer);
      return issuer;
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Answers with this as JSON. */
export function answering(body: unknown): Issuer['answer'] {
  return (outgoing) => {
    outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
}
