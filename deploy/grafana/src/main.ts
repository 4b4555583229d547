/**
 * `npm run dashboards`: writes the dashboards, and removes what is none of them.
 * `npm run dashboards -- --picture <address of Prometheus> [minutes]`: draws the Overview of the last 15 minutes.
 */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dashboardFiles } from './dashboards.js';
import { overview } from './overview.js';
import { picture } from './picture.js';

const [root = '.', flag, url, minutes = '15'] = process.argv.slice(2);

if (flag === undefined) writeDashboards();
else if (flag === '--picture' && url !== undefined) {
  const drawn = await picture(overview(), { url, minutes: Number(minutes), lastRow: 'Saturation' });
  writeFileSync(join(root, 'docs/images/overview.svg'), drawn);
} else {
  console.error('usage: npm run dashboards [-- --picture <address of Prometheus> [minutes]]');
  process.exitCode = 2;
}

function writeDashboards() {
  const folder = join(root, 'deploy/grafana/dashboards');
  const files = dashboardFiles();
  for (const name of readdirSync(folder)) if (!files.has(name)) rmSync(join(folder, name));
  for (const [name, text] of files) writeFileSync(join(folder, name), text);
}
