/** Hears of functions' changes from PostgreSQL, on a connection of its own that comes back when it is lost. */
import { type Connection, connect, type Sql } from './connection.js';

export interface NotificationHandlers {
  /** A function was added, changed or removed. */
  onFunction(id: string): void;
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
    async listen({ onFunction, onReconnect }) {
      let client: Sql | undefined;
      let timer: NodeJS.Timeout | undefined;
      let stopped = false;

      async function open(): Promise<void> {
        const opened = connect(connection, {
          max: 1,
          name: `${name} listen`,
          onNotification: (_channel, id) => onFunction(id),
          onClose: () => {
            if (client !== opened) return;
            client = undefined;
            void opened.end({ timeout: 0 });
            if (!stopped) retry(FIRST_RETRY_MS);
          },
        });
        try {
          // The channel that the trigger `functions_changed` speaks on.
          await opened`listen hearth_functions`;
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
              if (!stopped) onReconnect();
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
