/**
 * A stand-in for an https host that modules are imported from, on loopback: a proxy that answers for it with a certificate
 * made for the occasion. Nothing leaves the machine, since whatever is asked of the proxy ends at the stand-in.
 */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, connect } from 'node:net';

export interface HttpsHost {
  /** Of the proxy: what HTTPS_PROXY has to be. */
  proxy: string;
  /** The certificate that is to be trusted, PEM. */
  certificate: string;
  /** Path → text of a module. Others are 404. */
  modules: Map<string, string>;
  /** Paths that were asked for, oldest first. */
  requests: string[];
  stop(): Promise<void>;
}

export async function startHttpsHost(name: string): Promise<HttpsHost> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = selfSigned(name, privateKey, publicKey);
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const modules = new Map<string, string>();
  const requests: string[] = [];
  const host = createHttps({ key, cert: certificate }, (request, response) => {
    const path = request.url ?? '';
    requests.push(path);
    const text = modules.get(path);
    if (text === undefined) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': 'application/typescript' }).end(text);
  });
  const proxy = createServer((_, response) => response.writeHead(405).end());
  const port = await listen(host);
  proxy.on('connect', (_, client) => {
    const upstream = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      client.pipe(upstream).pipe(client);
    });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      socket.on('error', () => other.destroy());
      socket.on('close', () => other.destroy());
    }
  });
  return {
    proxy: `http://127.0.0.1:${await listen(proxy)}`,
    certificate,
    modules,
    requests,
    async stop() {
      host.closeAllConnections();
      await Promise.all([host, proxy].map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

async function listen(server: Pick<Server, 'listen' | 'address'>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** A certificate for one name (RFC 5280), which is its own authority. */
function selfSigned(name: string, privateKey: KeyObject, publicKey: KeyObject): string {
  const ecdsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
  const subject = sequence(der(0x31, sequence(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from(name)))));
  const time = (date: Date) =>
    der(0x17, Buffer.from(`${date.toISOString().slice(2, 19).replace(/[-T:]/g, '')}Z`));
  const extension = (id: Buffer, value: Buffer, critical: boolean) =>
    sequence(id, ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value));
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    ecdsaWithSha256,
    subject,
    sequence(time(new Date(Date.now() - 3_600_000)), time(new Date(Date.now() + 86_400_000))),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(
      0xa3,
      sequence(
        extension(oid(0x55, 0x1d, 0x13), sequence(), true),
        extension(oid(0x55, 0x1d, 0x11), sequence(der(0x82, Buffer.from(name))), false),
      ),
    ),
  );
  const signature = sign('sha256', body, privateKey);
  const whole = sequence(body, ecdsaWithSha256, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = whole.toString('base64').replace(/.{64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

const sequence = (...parts: Buffer[]) => der(0x30, Buffer.concat(parts));
const oid = (...bytes: number[]) => der(0x06, Buffer.from(bytes));

/** One value in DER (X.690): tag, length, content. */
function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}
