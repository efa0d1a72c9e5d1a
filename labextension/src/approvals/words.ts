// Promotions in words. The bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { PromotionView, Stage } from '../api/generated.js';
import type { ShownState } from '../tokens.js';

/** `flowers@2`, with its kind where it is no model. */
export function whatText(
  item: Pick<PromotionView, 'kind' | 'name' | 'version'>
): string {
  const reference = `${item.name}@${item.version}`;
  return item.kind === 'model' ? reference : `${item.kind} ${reference}`;
}

export function stageText(
  item: Pick<PromotionView, 'state' | 'decisions' | 'needs'>,
  trans: TranslationBundle
): string {
  switch (item.state) {
    case 'waiting':
      return trans.__(
        'Waits: %1 of %2 approved',
        item.decisions.filter(each => each.decision === 'approved').length,
        item.needs
      );
    case 'applied':
      return trans.__('Applied');
    case 'rejected':
      return trans.__('Rejected');
    case 'withdrawn':
      return trans.__('Withdrawn');
    case 'superseded':
      return trans.__('Overtaken by another');
  }
}

/** What a stage looks like: as the states of jobs do. */
export function stageState(stage: Stage): ShownState {
  switch (stage) {
    case 'waiting':
      return 'queued';
    case 'applied':
      return 'succeeded';
    case 'rejected':
      return 'failed';
    case 'withdrawn':
      return 'cancelled';
    case 'superseded':
      return 'stopped';
  }
}

/** What stood there before, or stands there now. */
export function beforeText(
  item: Pick<PromotionView, 'before' | 'state' | 'name'>,
  trans: TranslationBundle
): string {
  const { before, state, name } = item;
  if (before === null) {
    return trans.__('nothing stood there before');
  }
  return state === 'waiting'
    ? trans.__('replaces %1', `${name}@${before}`)
    : trans.__('before: %1', `${name}@${before}`);
}

/** How much of the evidence asked for is there. */
export function evidenceText(
  evidence: PromotionView['evidence'],
  trans: TranslationBundle
): string {
  const met = evidence.filter(each => each.ok).length;
  return evidence.length === 0
    ? ''
    : trans.__('%1 of %2 checks met', met, evidence.length);
}

/** Open ones first, then newest first; those alone that have the text in what is said of them. */
export function chosen(
  waiting: readonly PromotionView[],
  latest: readonly PromotionView[],
  search: string
): PromotionView[] {
  const open = new Set(waiting.map(({ id }) => id));
  const all = [
    ...waiting,
    ...latest.filter(item => item.state !== 'waiting' && !open.has(item.id))
  ];
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return all.filter(item => {
    const { target, state, actor, author, comment, id } = item;
    const said = [whatText(item), target, state, actor, author, comment, id];
    const text = said.join(' ').toLowerCase();
    return words.every(word => text.includes(word));
  });
}
