// The machine and its jobs in the status bar: a button that opens the sidebar.

import { ReactWidget } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';
import { snapmlIcon } from '../icons.js';
import { Pace } from '../sections/Pace.js';
import type { IJobsModel, IMachineModel, ISidebar } from '../tokens.js';
import { count, details, fill, parts } from './words.js';

/** Milliseconds between drawings. */
const PACE_MS = 500;
/** While jobs come and go, the machine is looked at so often at most. */
const GLANCE_MS = 5_000;
/** A job that has just started has not yet taken its memory. */
const SETTLED_MS = 8_000;

export interface StatusItemOptions {
  readonly jobs: IJobsModel;
  readonly machine: IMachineModel;
  readonly sidebar: ISidebar;
  readonly trans: TranslationBundle;
}

export class StatusItem extends ReactWidget {
  constructor(private readonly options: StatusItemOptions) {
    super();
    this.addClass('snapml-Status');
    const { jobs, machine } = options;
    jobs.changed.connect(this.onJobs);
    machine.changed.connect(this.onChanged);
    document.addEventListener('visibilitychange', this.onLook);
    machine.glance();
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    const { jobs, machine } = this.options;
    jobs.changed.disconnect(this.onJobs);
    machine.changed.disconnect(this.onChanged);
    document.removeEventListener('visibilitychange', this.onLook);
    clearTimeout(this.settling);
    this.glances.dispose();
    this.pace.dispose();
    super.dispose();
  }

  protected render(): React.JSX.Element {
    const { jobs, machine, sidebar, trans } = this.options;
    const counts = count(jobs.jobs.values());
    const lost = jobs.connection === 'lost';
    const said = lost
      ? [trans.__('Not connected')]
      : parts(machine.value, counts, trans);
    const lines = details(machine.value, counts, trans);
    const last = trans.__('The last known state.');
    const detail = [...(lost ? [last] : []), ...lines].join('\n');
    return (
      <button
        type="button"
        className="snapml-Status-button"
        data-testid="snapml-status"
        title={`SnapML\n${detail}`}
        aria-label={trans.__(
          'SnapML: %1. Open the sidebar.',
          [...said, ...lines].join(', ')
        )}
        onPointerEnter={this.onLook}
        onFocus={this.onLook}
        onClick={() => sidebar.open()}
      >
        <snapmlIcon.react tag="span" className="snapml-Status-icon" />
        <span className="snapml-Status-words">{said.join(' · ')}</span>
        {!lost && (
          <span className="snapml-Status-meter">
            <span style={{ width: `${fill(machine.value, counts)}%` }} />
          </span>
        )}
      </button>
    );
  }

  /** The machine is looked at when the states of its jobs change. */
  private readonly onJobs = (): void => {
    this.pace.invoke();
    const states = [...this.options.jobs.jobs.values()]
      .map(job => `${job.id} ${job.state}`)
      .join();
    if (states !== this.states) {
      this.states = states;
      this.glances.invoke();
      clearTimeout(this.settling);
      this.settling = setTimeout(this.onLook, SETTLED_MS);
    }
  };

  /** Whoever comes back, or looks closer, sees what is. */
  private readonly onLook = (): void => {
    if (!document.hidden && !this.isDisposed) {
      this.options.machine.glance();
    }
  };

  private states = '';
  private settling: ReturnType<typeof setTimeout> | undefined;
  private readonly onChanged = (): void => this.pace.invoke();
  private readonly glances = new Pace(this.onLook, GLANCE_MS);
  private readonly pace = new Pace(() => this.update(), PACE_MS);
}
