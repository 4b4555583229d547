// Recurses until the stack is full.
export default () => {
  const deeper = (n: number): number => 1 + deeper(n + 1);
  return deeper(0);
};
