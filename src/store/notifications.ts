/** Hears of changes from PostgreSQL, on a connection of its own that comes back when it is lost. */
import { type Connection, connect, type Sql } from './connection.js';

export interface NotificationHandlers {
  /** A function was added, changed or removed. */
  onFunction(id: string): void;
  /** A tenant was added, changed or removed. */
  onTenant(slug: string): void;
  /** A key was changed or removed: the SHA-256 of it, hex. */
  onKey(hash: string): void;
  /** The connection was lost and is back: whatever was said meanwhile was missed. */
  onReconnect(): void;
}

export interface Notifications {
  /** Returns once it listens. @throws when the database is away. */
  listen(handlers: NotificationHandlers): Promise<{ stop(): Promise<void> }>;
}

const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1000;

/** Every loss is answered with a new client: nothing of the old connection's state can come along. */
export function createNotifications(connection: Connection, name: string): Notifications {
  return {
    async listen(handlers) {
      const channels = new Map<string, (payload: string) => void>([
        ['hearth_functions', handlers.onFunction],
        ['hearth_tenants', handlers.onTenant],
        ['hearth_keys', handlers.onKey],
      ]);
      let client: Sql | undefined;
      let timer: NodeJS.Timeout | undefined;
      let stopped = false;

      async function open(): Promise<void> {
        const opened = connect(connection, {
          max: 1,
          name: `${name} listen`,
          onNotification: (channel, payload) => channels.get(channel)?.(payload),
          onClose: () => {
            if (client !== opened) return;
            client = undefined;
            void opened.end({ timeout: 0 });
            if (!stopped) retry(FIRST_RETRY_MS);
          },
        });
        try {
          // The channels that the triggers of the migrations speak on.
          for (const channel of channels.keys()) await opened`listen ${opened(channel)}`;
        } catch (error) {
          await opened.end({ timeout: 0 });
          throw error;
        }
        if (stopped) await opened.end({ timeout: 0 });
        else client = opened;
      }

      function retry(afterMs: number): void {
        timer = setTimeout(() => {
          open().then(
            () => {
              if (!stopped) handlers.onReconnect();
            },
            () => {
              // The database is still away.
              if (!stopped) retry(Math.min(afterMs * 2, LAST_RETRY_MS));
            },
          );
        }, afterMs);
      }

      await open();
      return {
        async stop() {
          stopped = true;
          clearTimeout(timer);
          await client?.end({ timeout: 0 });
        },
      };
    },
  };
}
