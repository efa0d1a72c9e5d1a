// The section's frame: processors and memory, then each GPU with its holders.

import React from 'react';
import type { LeasesView, Meter as MeterView } from '../api/generated.js';
import { useSection } from '../sections/context.js';
import { Problem } from '../sections/Problem.js';
import { formatCount } from '../sections/words.js';
import { Gpu } from './Gpu.js';
import { Key, Meter } from './Meter.js';
import { formatCpus } from './words.js';

export interface MachinePanelProps {
  /** Null before the first answer. */
  value: LeasesView | null;
  /** Why there is no fresh answer; null where there is one. */
  problem: unknown;
}

export function MachinePanel(props: MachinePanelProps): React.JSX.Element {
  const { value, problem } = props;
  const { trans } = useSection();
  return (
    <>
      <Problem
        error={problem}
        loaded={value !== null}
        testid="snapml-machine-problem"
      />
      {value === null ? (
        problem === null && (
          <p className="snapml-Quiet">{trans.__('Looking at the machine…')}</p>
        )
      ) : (
        <>
          <Cpus meter={value.cpus} />
          <Memory meter={value.memory} />
          {value.unseen !== null && (
            <div className="snapml-Notice" role="status">
              <strong>{trans.__('The GPUs cannot be seen')}</strong>
              <span>{value.unseen}</span>
            </div>
          )}
          {value.gpus.map(gpu => (
            <Gpu key={gpu.uuid} gpu={gpu} />
          ))}
          {value.unseen === null && value.gpus.length === 0 && (
            <p className="snapml-Quiet">
              {trans.__('This machine has no NVIDIA GPU.')}
            </p>
          )}
        </>
      )}
    </>
  );
}

function Cpus({ meter }: { meter: MeterView }): React.JSX.Element {
  const { trans } = useSection();
  const { leased, total } = meter;
  const words = trans.__(
    '%1 of %2 leased',
    formatCpus(leased),
    formatCpus(total)
  );
  return (
    <Gauge name={trans.__('CPUs')} meter={meter} words={words}>
      <Key of="leased">{words}</Key>
    </Gauge>
  );
}

function Memory({ meter }: { meter: MeterView }): React.JSX.Element {
  const { trans } = useSection();
  const { total, leased, used } = meter;
  const [all, held] = [formatCount(total), formatCount(leased)];
  if (used === null) {
    const words = trans.__('%1 of %2 MiB leased', held, all);
    return (
      <Gauge name={trans.__('Memory')} meter={meter} words={words}>
        <Key of="leased">{words}</Key>
      </Gauge>
    );
  }
  const usedText = trans.__('%1 of %2 MiB used', formatCount(used), all);
  const leasedText = trans.__('%1 leased', held);
  return (
    <Gauge
      name={trans.__('Memory')}
      meter={meter}
      words={`${usedText}, ${leasedText}`}
    >
      <Key of="used">{usedText}</Key>
      <Key of="leased">{leasedText}</Key>
    </Gauge>
  );
}

function Gauge(props: {
  name: string;
  meter: MeterView;
  words: string;
  children: React.ReactNode;
}): React.JSX.Element {
  const { name, meter, words, children } = props;
  return (
    <div className="snapml-Gauge" data-testid="snapml-gauge" data-name={name}>
      <div className="snapml-Gauge-line">
        <span className="snapml-Gauge-name">{name}</span>
        <span className="snapml-Gauge-words">{children}</span>
      </div>
      <Meter
        label={name}
        total={meter.total}
        leased={meter.leased}
        used={meter.used}
        words={words}
      />
    </div>
  );
}
