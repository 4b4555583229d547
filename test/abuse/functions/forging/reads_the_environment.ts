// Looks for whatever of the platform lies inside its process.
import process from 'node:process';

export default () => ({
  names: Object.keys(Deno.env.toObject()).sort(),
  text: Deno.inspect(
    {
      env: Deno.env.toObject(),
      node: { ...process.env },
      args: Deno.args,
      argv: process.argv,
      execArgv: process.execArgv,
      main: Deno.mainModule,
    },
    { depth: 5, iterableLimit: 1000, strAbbreviateSize: 10_000 },
  ),
});
