// Imports a file by a name that only becomes one when the code is put together.
enum Path {
  Passwd = 'file:///etc/passwd',
}
const text = async () => {
  try {
    return `got: ${(await import(Path.Passwd, { with: { type: 'text' } })).default}`;
  } catch (error) {
    return `refused: ${error}`;
  }
};
const pieces = async () => {
  try {
    return `got: ${(await import(`file:///${'etc'}/passwd`, { with: { type: 'text' } })).default}`;
  } catch (error) {
    return `refused: ${error}`;
  }
};
export default async () => ({ enum: await text(), pieces: await pieces() });
