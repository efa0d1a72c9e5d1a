// Model versions under their names, and what few words say of one. Pure.

import type { ModelView } from '../api/generated.js';
import { formatNumber } from '../charts/scale.js';

export interface Group {
  readonly name: string;
  /** The newest, and those an alias is on, newest first. */
  readonly standing: readonly ModelView[];
  /** The others, newest first. */
  readonly others: readonly ModelView[];
}

/** Names in the order of their newest versions. */
export function group(models: readonly ModelView[]): Group[] {
  const named = new Map<string, ModelView[]>();
  for (const model of models) {
    const list = named.get(model.name) ?? [];
    list.push(model);
    named.set(model.name, list);
  }
  return [...named].map(([name, versions]) => {
    versions.sort((a, b) => b.version - a.version);
    const stands = (model: ModelView): boolean =>
      model === versions[0] || model.aliases.length > 0;
    return {
      name,
      standing: versions.filter(stands),
      others: versions.filter(model => !stands(model))
    };
  });
}

export function referenceOf(
  model: Pick<ModelView, 'name' | 'version'>
): string {
  return `${model.name}@${model.version}`;
}

/** The figure a version was chosen by, with its interval where it has one; empty where it has none. */
export function scoreText(evidence: ModelView['evidence']): string {
  const { metric, score, low, high } = evidence;
  if (typeof score !== 'number') {
    return '';
  }
  const name = typeof metric === 'string' ? `${metric} ` : '';
  const interval =
    typeof low === 'number' && typeof high === 'number'
      ? ` [${formatNumber(low, 3)}, ${formatNumber(high, 3)}]`
      : '';
  return `${name}${formatNumber(score)}${interval}`;
}
