// One GPU: its memory, and below it who holds how much.

import React from 'react';
import type { GpuHolder, GpuView } from '../api/generated.js';
import { HOLDER_ICONS } from '../icons.js';
import { useSection } from '../sections/context.js';
import { formatCount } from '../sections/words.js';
import { useMachineActions } from './context.js';
import { holderKey } from './free.js';
import { Key, Layers, Meter } from './Meter.js';
import {
  holderName,
  holdingText,
  kindWord,
  leasedOf,
  troubleText,
  whoText
} from './words.js';

export function Gpu({ gpu }: { gpu: GpuView }): React.JSX.Element {
  const { trans } = useSection();
  const { number, name, total, used, load, holders } = gpu;
  const label = trans.__('GPU %1', number);
  const leased = leasedOf(gpu);
  const [usedText, leasedText, freeText] = [
    trans.__('%1 of %2 MiB used', formatCount(used), formatCount(total)),
    trans.__('%1 leased', formatCount(leased)),
    trans.__('%1 free', formatCount(gpu.free))
  ];
  return (
    <section
      className="snapml-Gauge"
      data-testid="snapml-gpu"
      data-gpu={gpu.uuid}
      aria-label={label}
    >
      <div className="snapml-Row-head">
        <span className="snapml-Gauge-name" title={`${name} (${gpu.uuid})`}>
          {label} <span className="snapml-Gauge-model">{name}</span>
        </span>
        {load !== null && (
          <span className="snapml-Row-aside">
            {trans.__('%1 % busy', load)}
          </span>
        )}
      </div>
      <Meter
        label={trans.__('Memory of GPU %1', number)}
        total={total}
        leased={leased}
        used={used}
        words={[usedText, leasedText, freeText].join(', ')}
      />
      <div className="snapml-Gauge-words">
        <Key of="used">{usedText}</Key>
        <Key of="leased">{leasedText}</Key>
        <span>{freeText}</span>
      </div>
      {holders.length > 0 ? (
        <ul
          className="snapml-Holders"
          role="list"
          aria-label={trans.__('Who holds memory of GPU %1', number)}
        >
          {holders.map(holder => (
            <li key={holderKey(holder)} role="listitem">
              <Holder gpu={gpu} holder={holder} />
            </li>
          ))}
        </ul>
      ) : (
        <p className="snapml-Gauge-none">{trans.__('Nobody is on it.')}</p>
      )}
    </section>
  );
}

function Holder(props: { gpu: GpuView; holder: GpuHolder }): React.JSX.Element {
  const { gpu, holder } = props;
  const { trans } = useSection();
  const name = holderName(holder, trans);
  const who = whoText(holder, trans);
  const trouble = troubleText(holder, trans);
  const Icon = HOLDER_ICONS[holder.kind] ?? HOLDER_ICONS.process;
  return (
    <div
      className="snapml-Holder"
      data-testid="snapml-holder"
      data-holder={holderKey(holder)}
      data-kind={holder.kind}
      data-dirty={holder.dirty}
    >
      <Icon.react tag="span" className="snapml-Row-icon" aria-hidden />
      <div className="snapml-Row-body">
        <HolderName holder={holder} name={name} />
        <div className="snapml-Row-line">
          <span className="snapml-Row-meta">
            <span className="snapml-Row-state">{kindWord(holder, trans)}</span>
            {who !== '' && (
              <span className="snapml-Row-kind" title={who}>
                {who}
              </span>
            )}
          </span>
          <span className="snapml-Row-actions">
            <FreeButton gpu={gpu} holder={holder} name={name} />
          </span>
        </div>
        <Layers
          total={gpu.total}
          leased={holder.leased ?? 0}
          used={holder.used}
        />
        <div className="snapml-Row-message">{holdingText(holder, trans)}</div>
        {trouble !== '' && <div className="snapml-Row-fault">{trouble}</div>}
      </div>
    </div>
  );
}

/** A notebook's name opens it, a job's shows it; that of anything else is only a name. */
function HolderName(props: {
  holder: GpuHolder;
  name: string;
}): React.JSX.Element {
  const { holder, name } = props;
  const { trans } = useSection();
  const { canOpen, open } = useMachineActions();
  const full = holder.notebook ?? name;
  if (!canOpen(holder)) {
    return (
      <span className="snapml-Row-name" dir="auto" title={full}>
        {name}
      </span>
    );
  }
  const what =
    holder.kind === 'kernel'
      ? trans.__('Open %1', name)
      : trans.__('Show job %1', name);
  return (
    <button
      type="button"
      className="snapml-Row-name snapml-Named"
      data-testid="snapml-holder-open"
      dir="auto"
      title={full}
      aria-label={what}
      onClick={() => open(holder)}
    >
      {name}
    </button>
  );
}

// A disabled button keeps the focus and its tooltip: `aria-disabled`, not `disabled`.

function FreeButton(props: {
  gpu: GpuView;
  holder: GpuHolder;
  name: string;
}): React.JSX.Element | null {
  const { gpu, holder, name } = props;
  const { trans } = useSection();
  const { canFree, isFreeing, free } = useMachineActions();
  if (!canFree(holder)) {
    return null;
  }
  const freeing = isFreeing(holder);
  return (
    <button
      type="button"
      className="snapml-Link"
      data-testid="snapml-holder-free"
      aria-disabled={freeing}
      aria-label={
        freeing
          ? trans.__('Freeing the memory of %1', name)
          : trans.__('Free the memory of %1', name)
      }
      onClick={() => !freeing && free(gpu, holder)}
    >
      {freeing ? trans.__('Freeing…') : trans.__('Free')}
    </button>
  );
}
