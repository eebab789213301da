// Draws dashboards/qdrant-backup.json with Grafana's own libraries: data frames, field configuration, units, thresholds,
// mappings and transformations are @grafana/data, panels are @grafana/ui. What Grafana keeps in its server and not in these
// libraries is written here, thinly: the grid, the state timeline, and the marks of the annotations.
import React from 'react';
import { createRoot } from 'react-dom/client';
import { lastValueFrom } from 'rxjs';
import {
  applyFieldOverrides, cacheFieldDisplayNames, createTheme, DataFrame, dateTime, FieldConfigOptionsRegistry, FieldType, formattedValueToString,
  getFieldDisplayName, getFieldDisplayValues, getDisplayValueAlignmentFactors, getValueFormats, standardTransformers,
  standardTransformersRegistry, ThemeContext, TimeRange, transformDataFrame, VizOrientation,
} from '@grafana/data';
import { BigValue, GlobalStyles, PanelChrome, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import dashboard from './dashboard.json';

type Json = any;

const query = new URLSearchParams(window.location.search);
const server = query.get('prometheus')!;
const WIDTH = 1600;
const CELL = 30;
const GAP = 8;
const now = Math.floor(Date.now() / 1000);
const WEEK = 7 * 86400;
const range: TimeRange = {
  from: dateTime((now - WEEK) * 1000), to: dateTime(now * 1000), raw: { from: 'now-7d', to: 'now' },
};
const theme = createTheme({ colors: { mode: 'dark' } });
const problems: string[] = [];

standardTransformersRegistry.setInit(() =>
  [...new Map(Object.values(standardTransformers).map((one: Json) => [one.id, one])).values()].map((transformation: Json) => ({
    id: transformation.id, name: transformation.name, transformation: async () => transformation, editor: () => null,
    imageDark: '', imageLight: '',
  })) as Json
);

// Grafana registers these in its server; their names are all that is needed to apply them.
function registryFor(panel: Json) {
  const names = new Set(['unit', 'min', 'max', 'decimals', 'displayName', 'color', 'noValue', 'links', 'thresholds', 'mappings']);
  Object.keys(panel.fieldConfig.defaults.custom ?? {}).forEach((key) => names.add(`custom.${key}`));
  panel.fieldConfig.overrides.forEach((one: Json) => one.properties.forEach((property: Json) => names.add(property.id)));
  return new FieldConfigOptionsRegistry(() =>
    [...names].map((id) => ({
      id, path: id.replace(/^custom\./, ''), name: id, isCustom: id.startsWith('custom.'),
      process: (value: unknown) => value, shouldApply: () => true, override: () => null, editor: () => null,
    })) as Json
  );
}

function interpolate(expr: string, step: number) {
  return expr
    .replaceAll('$__rate_interval', `${Math.max(step + 240, 960)}s`)
    .replace(/\$(job|instance|collection)/g, '.+');
}

async function prometheus(path: string, parameters: Record<string, string>) {
  const answer = await fetch(`${server}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const body = await answer.json();
  if (body.status !== 'success') {
    throw new Error(`${parameters.query}: ${body.error}`);
  }
  return body.data.result as Json[];
}

function legend(target: Json, labels: Record<string, string>) {
  return target.legendFormat.replace(/\{\{(\w+)\}\}/g, (_: string, name: string) => labels[name] ?? '');
}

const seconds: Record<string, number> = { '6h': 6 * 3600 };
const number = (text: string) => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text));

async function ask(target: Json): Promise<DataFrame[]> {
  const step = seconds[target.interval] ?? 600;
  const expr = interpolate(target.expr, step);
  const series = target.instant
    ? await prometheus('query', { query: expr, time: String(now) })
    : await prometheus('query_range', { query: expr, start: String(now - WEEK), end: String(now), step: String(step) });
  if (target.format === 'table') {
    const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))];
    const column = (name: string, type: FieldType, values: unknown[]) => ({ name, type, config: {}, values });
    return [{
      refId: target.refId,
      length: series.length,
      fields: [
        column('Time', FieldType.time, series.map((one) => one.value[0] * 1000)),
        ...labels.map((label) => column(label, FieldType.string, series.map((one) => one.metric[label]))),
        column(`Value #${target.refId}`, FieldType.number, series.map((one) => number(one.value[1]))),
      ],
    }];
  }
  return series.map((one) => {
    const points = one.values ?? [one.value];
    return {
      refId: target.refId,
      length: points.length,
      fields: [
        { name: 'Time', type: FieldType.time, config: { interval: step * 1000 }, values: points.map((point: Json) => point[0] * 1000) },
        {
          name: 'Value', type: FieldType.number, labels: one.metric, values: points.map((point: Json) => number(point[1])),
          config: { displayNameFromDS: legend(target, one.metric) },
        },
      ],
    };
  });
}

async function framesOf(panel: Json): Promise<DataFrame[]> {
  const asked = (await Promise.all(panel.targets.map(ask))).flat();
  const data = panel.transformations ? await lastValueFrom(transformDataFrame(panel.transformations, asked)) : asked;
  const frames = applyFieldOverrides({
    data, theme, timeZone: 'utc', fieldConfig: panel.fieldConfig, fieldConfigRegistry: registryFor(panel),
    replaceVariables: (text: string) => text,
  });
  cacheFieldDisplayNames(frames);
  return frames;
}

type Props = { panel: Json; frames: DataFrame[]; width: number; height: number; marks: Mark[] };

function Stat({ panel, frames, width, height }: Props) {
  const { options } = panel;
  const values = getFieldDisplayValues({
    fieldConfig: panel.fieldConfig, reduceOptions: options.reduceOptions, replaceVariables: (text) => text, theme,
    data: frames, timeZone: 'utc',
  });
  return (
    <VizRepeater
      getValues={() => values} getAlignmentFactors={getDisplayValueAlignmentFactors as Json} source={frames}
      width={width} height={height} renderCounter={0} orientation={options.orientation as VizOrientation} autoGrid
      renderValue={({ value, width, height, alignmentFactors, count }: Json) => (
        <BigValue
          value={value.display} alignmentFactors={alignmentFactors} count={count} width={width} height={height} theme={theme}
          colorMode={options.colorMode} graphMode={options.graphMode} justifyMode={options.justifyMode}
          textMode={options.textMode} text={options.text} wideLayout={options.wideLayout}
        />
      )}
    />
  );
}

function Table({ panel, frames, width, height }: Props) {
  return (
    <TableNG
      data={frames[0]} width={width} height={height} cellHeight={panel.options.cellHeight} sortBy={panel.options.sortBy}
      fieldConfig={panel.fieldConfig} structureRev={1} enableVirtualization={false} noValue={panel.fieldConfig.defaults.noValue}
    />
  );
}

function Graph({ panel, frames, width, height, marks }: Props) {
  return (
    <TimeSeries frames={frames} width={width} height={height} timeRange={range} timeZone="utc" legend={panel.options.legend} structureRev={1}>
      {(builder: Json) => {
        builder.addHook('draw', (plot: Json) => {
          marks.forEach(({ at, color }) => {
            const x = plot.valToPos(at, 'x', true);
            plot.ctx.save();
            plot.ctx.strokeStyle = plot.ctx.fillStyle = theme.visualization.getColorByName(color);
            plot.ctx.lineWidth = 1;
            plot.ctx.setLineDash([3, 3]);
            plot.ctx.beginPath();
            plot.ctx.moveTo(x, plot.bbox.top);
            plot.ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
            plot.ctx.stroke();
            plot.ctx.beginPath();
            plot.ctx.moveTo(x - 4, plot.bbox.top + plot.bbox.height + 5);
            plot.ctx.lineTo(x + 4, plot.bbox.top + plot.bbox.height + 5);
            plot.ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
            plot.ctx.fill();
            plot.ctx.restore();
          });
        });
        return null;
      }}
    </TimeSeries>
  );
}

// Neighbours with the same value in one piece.
function stretches(times: number[], values: number[], step: number) {
  const pieces: Array<{ from: number; to: number; of: number }> = [];
  times.forEach((at, point) => {
    const last = pieces[pieces.length - 1];
    if (last && last.of === values[point] && at - last.to < step) {
      last.to = Math.min(at + step, now * 1000);
    } else {
      pieces.push({ from: at, to: Math.min(at + step, now * 1000), of: values[point] });
    }
  });
  return pieces;
}

function Timeline({ frames, width, height }: Props) {
  const NAMES = 110;
  const AXIS = 24;
  const row = (height - AXIS) / Math.max(frames.length, 1);
  const x = (at: number) => NAMES + ((at / 1000 - (now - WEEK)) / WEEK) * (width - NAMES - 12);
  const days = Array.from({ length: 7 }, (_, index) => (Math.floor((now - WEEK) / 86400) + 1 + index) * 86400000);
  return (
    <svg width={width} height={height} fontSize={12} fontFamily={theme.typography.fontFamily} fill={theme.colors.text.primary}>
      {frames.map((frame, index) => {
        const [time, value] = frame.fields;
        const step = time.config.interval!;
        return (
          <g key={index}>
            <text x={NAMES - 10} y={(index + 0.5) * row + 4} textAnchor="end">{getFieldDisplayName(value, frame, frames)}</text>
            {stretches(time.values, value.values, step).map(({ from, to, of }) => (
              <rect key={from} x={x(from)} width={x(to) - x(from)} y={(index + 0.1) * row} height={row * 0.8} fill={value.display!(of).color} fillOpacity={0.75} />
            ))}
          </g>
        );
      })}
      {days.map((at) => (
        <text key={at} x={x(at)} y={height - 8} textAnchor="middle">{dateTime(at).utc().format('MM/DD')}</text>
      ))}
    </svg>
  );
}

function NoData({ panel, width, height }: Props) {
  return <div style={{ width, height, display: 'grid', placeContent: 'center' }}>{panel.fieldConfig.defaults.noValue}</div>;
}

const KINDS: Record<string, React.FC<Props>> = { stat: Stat, table: Table, timeseries: Graph, 'state-timeline': Timeline };

type Mark = { at: number; color: string };

async function marksOf(annotation: Json): Promise<Mark[]> {
  const series = await prometheus('query_range', {
    query: interpolate(annotation.expr, 60), start: String(now - WEEK), end: String(now), step: '120',
  });
  // Neighbours are one event, as in Grafana.
  return series.flatMap((one) => one.values
    .filter(([at]: [number], index: number) => index === 0 || at - one.values[index - 1][0] > 120)
    .map(([at]: [number]) => ({ at: at * 1000, color: annotation.iconColor })));
}

function Panel({ panel, frames, marks }: { panel: Json; frames: DataFrame[]; marks: Mark[] }) {
  const { x, y, w, h } = panel.gridPos;
  const column = (WIDTH - GAP) / 24;
  const place = { position: 'absolute', left: x * column + GAP, top: y * (CELL + GAP), width: w * column - GAP, height: h * (CELL + GAP) - GAP } as const;
  if (panel.type === 'row') {
    return <div style={{ ...place, fontSize: 16, fontWeight: 500, lineHeight: '30px' }}>{panel.collapsed ? '›' : '⌄'}&nbsp; {panel.title}</div>;
  }
  // A tile draws no value itself; for all others Grafana does.
  const Kind = panel.type === 'stat' || frames.some((frame) => frame.length > 0) ? KINDS[panel.type] : NoData;
  return (
    <div style={place} data-panel={panel.title}>
      <PanelChrome title={panel.title} width={place.width} height={place.height}>
        {(width, height) => <Kind panel={panel} frames={frames} width={width} height={height} marks={marks} />}
      </PanelChrome>
    </div>
  );
}

function Head() {
  const variables = (dashboard as Json).templating.list.map((one: Json) => [one.label, one.type === 'datasource' ? 'Prometheus' : 'All']);
  const box = { border: `1px solid ${theme.colors.border.medium}`, borderRadius: 2, padding: '5px 10px' };
  return (
    <div style={{ display: 'flex', gap: 10, alignItems: 'center', padding: `8px ${GAP}px 4px`, fontSize: 13 }}>
      <b style={{ fontSize: 18, marginRight: 10 }}>{dashboard.title}</b>
      {variables.map(([label, value]: string[]) => (
        <span key={label} style={box}><span style={{ color: theme.colors.text.link }}>{label}</span>&nbsp; {value}</span>
      ))}
      <span style={{ marginLeft: 'auto', ...box }}>Last 7 days &nbsp;UTC</span>
      <span style={box}>Runbook</span>
    </div>
  );
}

async function draw() {
  const shown = (dashboard as Json).panels.flatMap((panel: Json) => [panel, ...(panel.panels ?? [])]);
  const units = new Set(getValueFormats().flatMap((group) => group.submenu!.map((format) => format.value)));
  const marks = (await Promise.all((dashboard as Json).annotations.list.map(marksOf))).flat();
  const frames = new Map<number, DataFrame[]>();
  for (const panel of shown.filter((panel: Json) => panel.type !== 'row')) {
    const named = [panel.fieldConfig.defaults.unit, ...panel.fieldConfig.overrides.flatMap((one: Json) =>
      one.properties.filter((property: Json) => property.id === 'unit').map((property: Json) => property.value))];
    named.filter((unit: string) => !units.has(unit)).forEach((unit: string) => problems.push(`${panel.title}: no unit ${unit}`));
    if (!KINDS[panel.type]) {
      problems.push(`${panel.title}: nobody draws ${panel.type}`);
    }
    frames.set(panel.id, await framesOf(panel));
    if (frames.get(panel.id)!.every((frame) => frame.length === 0)) {
      problems.push(`${panel.title}: no data`);
    }
  }
  const bottom = Math.max(...(dashboard as Json).panels.map((panel: Json) => panel.gridPos.y + panel.gridPos.h));
  createRoot(document.getElementById('root')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Head />
      <div style={{ position: 'relative', height: bottom * (CELL + GAP) + GAP }}>
        {(dashboard as Json).panels.map((panel: Json) => (
          <Panel key={panel.id} panel={panel} frames={frames.get(panel.id) ?? []} marks={marks} />
        ))}
      </div>
    </ThemeContext.Provider>
  );
  await new Promise((done) => setTimeout(done, 2000));
}

window.addEventListener('error', (event) => problems.push(String(event.message)));
draw().catch((error) => problems.push(String(error?.stack ?? error))).finally(() => {
  // Read by whoever started the browser.
  const said = document.createElement('script');
  said.type = 'application/json';
  said.id = 'problems';
  said.textContent = JSON.stringify(problems).replaceAll('<', '\\u003c');
  document.body.append(said);
});
