// Next ticks that each ask for another.
import process from 'node:process';
export default () =>
  new Promise(() => {
    const again = () => process.nextTick(again);
    again();
  });
