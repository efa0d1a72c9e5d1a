// Where a model version comes from and where it went: boxes in columns, arrows between them. What has a page or a cell
// leads there.

import React, { useId } from 'react';
import type { LineageNode, LineageView } from '../api/generated.js';
import { columnsOf } from '../charts/layers.js';
import { usePage } from '../pages/context.js';
import { useSection } from '../sections/context.js';

const WIDE = 176;
const HIGH = 58;
const ACROSS = 74;
const DOWN = 14;

export function LineagePicture(props: {
  lineage: LineageView;
}): React.JSX.Element {
  const { nodes, edges, model } = props.lineage;
  const { trans } = useSection();
  const head = useId();
  const columns = columnsOf(
    nodes.map(({ id }) => id),
    edges
  );
  const most = Math.max(1, ...columns.map(column => column.length));
  const height = most * (HIGH + DOWN) - DOWN + 4;
  const width = columns.length * (WIDE + ACROSS) - ACROSS + 4;
  const places = new Map<string, { x: number; y: number }>();
  columns.forEach((column, across) => {
    const room = column.length * (HIGH + DOWN) - DOWN;
    column.forEach((id, index) =>
      places.set(id, {
        x: 2 + across * (WIDE + ACROSS),
        y: 2 + (height - 4 - room) / 2 + index * (HIGH + DOWN)
      })
    );
  });
  return (
    <div
      className="snapml-Lineage"
      tabIndex={0}
      role="region"
      aria-label={trans.__('Lineage of %1', model)}
      data-testid="snapml-lineage"
    >
      <div style={{ width, height }}>
        <svg width={width} height={height} aria-hidden>
          <marker
            id={head}
            viewBox="0 0 8 8"
            refX={7}
            refY={4}
            markerWidth={7}
            markerHeight={7}
            orient="auto"
          >
            <path d="M0 0 8 4 0 8Z" />
          </marker>
          {edges.map(({ source, target, label }) => {
            const from = places.get(source);
            const to = places.get(target);
            if (from === undefined || to === undefined) {
              return null;
            }
            const [x1, y1] = [from.x + WIDE, from.y + HIGH / 2];
            const [x2, y2] = [to.x - 1, to.y + HIGH / 2];
            const bend = (x1 + x2) / 2;
            return (
              <g key={`${source} ${target}`}>
                <path
                  className="snapml-Lineage-arrow"
                  d={`M${x1} ${y1}C${bend} ${y1} ${bend} ${y2} ${x2} ${y2}`}
                  markerEnd={`url(#${head})`}
                />
                <text x={bend} y={(y1 + y2) / 2 - 4} textAnchor="middle">
                  {label}
                </text>
              </g>
            );
          })}
        </svg>
        <ul role="list">
          {nodes.map(node => {
            const at = places.get(node.id);
            return (
              at !== undefined && (
                <li
                  key={node.id}
                  role="listitem"
                  style={{
                    left: at.x,
                    top: at.y,
                    width: WIDE,
                    height: HIGH
                  }}
                >
                  <Box node={node} own={node.id === `model:${model}`} />
                </li>
              )
            );
          })}
        </ul>
      </div>
    </div>
  );
}

function Box(props: { node: LineageNode; own: boolean }): React.JSX.Element {
  const { node, own } = props;
  const { kind, label, detail, reference, notebook, cell_id: cell } = node;
  const { trans } = useSection();
  const { openRun, openModel, goToCell, canOpen } = usePage();
  const words: Record<LineageNode['kind'], string> = {
    dataset: trans.__('dataset'),
    code: trans.__('code'),
    environment: trans.__('environment'),
    run: trans.__('run'),
    base: trans.__('base model'),
    model: trans.__('model'),
    deployment: trans.__('endpoint'),
    eval: trans.__('evaluation')
  };
  const known = kind === 'run' && detail === 'not in this workspace';
  const go =
    (kind === 'run' || kind === 'eval') && reference !== null && !known
      ? () => openRun(reference)
      : kind === 'model' && reference !== null && !own
        ? () => openModel(reference)
        : kind === 'code' && notebook !== null && canOpen(notebook)
          ? () => goToCell(notebook, cell)
          : null;
  const inside = (
    <>
      <span className="snapml-Lineage-kind">{words[kind]}</span>
      <span className="snapml-Lineage-label" dir="auto" title={label}>
        {label}
      </span>
      {detail !== '' && (
        <span className="snapml-Lineage-detail" dir="auto" title={detail}>
          {detail}
        </span>
      )}
    </>
  );
  return go === null ? (
    <div
      className="snapml-Lineage-box"
      data-kind={kind}
      data-own={own}
      aria-current={own ? true : undefined}
    >
      {inside}
    </div>
  ) : (
    <button
      type="button"
      className="snapml-Lineage-box"
      data-kind={kind}
      onClick={go}
    >
      {inside}
    </button>
  );
}
