// Unpacks 2 GB of zeros from a few kilobytes, and keeps them.
export default async () => {
  const zeros = new Blob([new Uint8Array(16 * 1024 * 1024)])
    .stream()
    .pipeThrough(new CompressionStream('gzip'));
  const packed = await new Response(zeros).bytes();
  const held = [];
  for (let count = 0; count < 128; count++)
    held.push(
      await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'))).bytes(),
    );
  return held.length;
};
