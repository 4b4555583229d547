// Makes strings of half a gigabyte.
export default () => {
  const held = [];
  for (let count = 0; count < 8; count++) held.push(`${count}${'é'.repeat(2 ** 28)}`.normalize('NFD'));
  return held.length;
};
