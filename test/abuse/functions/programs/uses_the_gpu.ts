// Has a graphics driver of the machine loaded into its process, with memory and threads that no one counts.
import { tries } from '../tries.ts';

export default () =>
  tries({
    adapter: async () => {
      const adapter = await navigator.gpu?.requestAdapter();
      if (!adapter) throw new Error('there is none');
      return adapter.info.description;
    },
    device: async () => {
      const device = await (await navigator.gpu?.requestAdapter())?.requestDevice();
      if (!device) throw new Error('there is none');
      return device.createBuffer({ size: 1024, usage: 128 }).size;
    },
  });
