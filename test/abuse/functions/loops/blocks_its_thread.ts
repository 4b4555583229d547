// Blocks its thread without using the CPU.
export default () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
