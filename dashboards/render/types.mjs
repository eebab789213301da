// Writes checked.ts: the dashboard, and the options of each panel, as values that have to satisfy Grafana's own types.
import { readFileSync, writeFileSync } from 'node:fs';

const dashboard = JSON.parse(readFileSync('dashboard.json', 'utf8'));
const KINDS = {
  stat: ['stat/panelcfg/x/types.gen', 'Options'],
  table: ['table/panelcfg/x/types.gen', 'Options'],
  timeseries: ['timeseries/panelcfg/x/types.gen', 'Options', 'FieldConfig'],
  'state-timeline': ['statetimeline/panelcfg/x/types.gen', 'Options', 'FieldConfig'],
};

const lines = [
  `import type { Dashboard, DashboardLink } from '@grafana/schema';`,
  // JSON has no enumerations: a text of theirs is as good.
  `type Json<T> = T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T`,
  `  : T extends Array<infer One> ? Array<Json<One>> : T extends object ? { [Key in keyof T]: Json<T[Key]> } : T;`,
];
for (const [kind, [path, ...types]] of Object.entries(KINDS)) {
  const names = types.map((type) => `${type} as ${kind.replace('-', '')}${type}`);
  lines.push(`import type { ${names.join(', ')} } from './node_modules/@grafana/schema/dist/types/raw/composable/${path}';`);
}

// What a data source adds to its annotations is not Grafana's; and links of panels are written without most of their keys.
const panels = dashboard.panels.flatMap((one) => [one, ...(one.panels ?? [])]);
const links = panels.flatMap((one) => one.links ?? []);
panels.forEach((one) => delete one.links);
for (const one of dashboard.annotations.list) {
  ['expr', 'step', 'titleFormat', 'textFormat', 'tagKeys', 'useValueForTime'].forEach((key) => delete one[key]);
}
lines.push(`export const links = ${JSON.stringify(links, null, 2)} satisfies Array<Partial<Json<DashboardLink>>>;`);
lines.push(`export const dashboard = ${JSON.stringify(dashboard, null, 2)} satisfies Json<Dashboard>;`);
for (const panel of panels.filter((one) => one.type !== 'row')) {
  const kind = KINDS[panel.type];
  if (!kind) {
    throw new Error(`${panel.title}: no types are known for ${panel.type}`);
  }
  const name = panel.type.replace('-', '');
  lines.push(`// ${panel.title}`);
  lines.push(`export const options${panel.id} = ${JSON.stringify(panel.options, null, 2)} satisfies Json<${name}Options>;`);
  if (kind.includes('FieldConfig')) {
    lines.push(`export const custom${panel.id} = ${JSON.stringify(panel.fieldConfig.defaults.custom, null, 2)} satisfies Json<${name}FieldConfig>;`);
  }
}
writeFileSync('checked.ts', lines.join('\n') + '\n');
