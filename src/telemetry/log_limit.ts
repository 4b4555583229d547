/** Keeps a record that comes again and again from filling the log: the first few of a window pass, the rest are counted. */
import type { LogLevel } from './logger.js';

export interface LogLimit {
  /** Whether it is logged. Messages that differ in their numbers alone are the same. */
  admit(level: LogLevel, message: string, now: number): boolean;
  /** What was left out in windows that are over, once. */
  due(now: number): { level: LogLevel; message: string; count: number }[];
}

interface Window {
  level: LogLevel;
  /** The first one's. */
  message: string;
  began: number;
  seen: number;
}

/** Messages that are told apart at one time; what is beyond shares one window. */
const MAX_KEYS = 256;
const REST = 'other records';

export function createLogLimit({ most, windowMs }: { most: number; windowMs: number }): LogLimit {
  const windows = new Map<string, Window>();

  function due(now: number) {
    const over: { level: LogLevel; message: string; count: number }[] = [];
    for (const [key, { level, message, began, seen }] of windows) {
      if (now - began < windowMs) continue;
      windows.delete(key);
      if (seen > most) over.push({ level, message, count: seen - most });
    }
    return over;
  }

  return {
    admit(level, message, now) {
      let key = `${level} ${message.replace(/[0-9a-f-]*\d[0-9a-f-]*/gi, '#').slice(0, 256)}`;
      if (!windows.has(key) && windows.size >= MAX_KEYS) key = REST;
      let window = windows.get(key);
      if (window === undefined) {
        window = { level, message: key === REST ? REST : message, began: now, seen: 0 };
        windows.set(key, window);
      }
      window.seen++;
      return window.seen <= most;
    },
    due,
  };
}
