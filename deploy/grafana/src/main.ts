/** `npm run dashboards`: writes the dashboards to deploy/grafana/dashboards, and removes what is none of them. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dashboardFiles } from './dashboards.js';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('It needs the folder to write to.');
const files = dashboardFiles();
for (const name of readdirSync(folder)) if (!files.has(name)) rmSync(join(folder, name));
for (const [name, text] of files) {
  writeFileSync(join(folder, name), text);
  console.log(join(folder, name));
}
