// Imports a file by its name, which Deno reads without asking where the name stands in the code.
import passwd from 'file:///etc/passwd' with { type: 'text' };

export default () => ({ passwd: `got: ${passwd}` });
