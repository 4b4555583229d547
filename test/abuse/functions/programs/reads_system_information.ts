// Asks what machine it is on and who runs it.
import os from 'node:os';
import { tries } from '../tries.ts';

export default () =>
  tries({
    hostname: () => Deno.hostname(),
    release: () => Deno.osRelease(),
    load: () => Deno.loadavg(),
    memory: () => Deno.systemMemoryInfo(),
    interfaces: () => Deno.networkInterfaces(),
    user: () => Deno.uid(),
    group: () => Deno.gid(),
    node_hostname: () => os.hostname(),
    node_interfaces: () => os.networkInterfaces(),
    node_user: () => os.userInfo(),
    node_cpus: () => os.cpus(),
    node_priority: () => os.setPriority(0, -20),
  });
