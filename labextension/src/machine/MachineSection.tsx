// The machine section of the sidebar as a widget.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import React from 'react';
import type { GpuHolder } from '../api/generated.js';
import { Pace } from '../sections/Pace.js';
import { SectionWidget } from '../sections/SectionWidget.js';
import {
  CommandIDs,
  type IClient,
  type IJobsModel,
  type IMachineModel
} from '../tokens.js';
import { type MachineActions, MachineActionsProvider } from './context.js';
import { holderKey } from './free.js';
import { MachinePanel } from './MachinePanel.js';

export interface MachineSectionOptions {
  readonly model: IMachineModel;
  readonly jobs: IJobsModel;
  readonly client: IClient;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
}

export class MachineSection extends SectionWidget {
  constructor(private readonly options: MachineSectionOptions) {
    super(options.client, options.trans);
    this.node.dataset.testid = 'snapml-machine';
    options.model.changed.connect(this.onChanged);
    options.jobs.changed.connect(this.onChanged);
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.options.model.changed.disconnect(this.onChanged);
    this.options.jobs.changed.disconnect(this.onChanged);
    this.options.model.awake = false;
    this.pace.dispose();
    super.dispose();
  }

  protected override seen(visible: boolean): void {
    this.options.model.awake = visible;
    super.seen(visible);
  }

  protected content(): React.JSX.Element {
    const { model } = this.options;
    return (
      <MachineActionsProvider value={this.actions()}>
        <MachinePanel value={model.value} problem={model.problem} />
      </MachineActionsProvider>
    );
  }

  /** New for each drawing: what can be done depends on jobs and sessions. */
  private actions(): MachineActions {
    const { model, jobs, commands } = this.options;
    const stopping = (holder: GpuHolder): boolean =>
      holder.job !== null &&
      !holder.dirty &&
      (jobs.cancelling.has(holder.job) ||
        jobs.jobs.get(holder.job)?.state === 'stopping');
    return {
      canOpen: holder =>
        model.notebookOf(holder) !== null || jobs.jobs.has(holder.job ?? ''),
      open: holder => {
        const path = model.notebookOf(holder);
        void (path === null
          ? commands.execute(CommandIDs.showJob, { job: holder.job })
          : commands.execute('docmanager:open', { path }));
      },
      canFree: holder => model.wayToFree(holder) !== null,
      isFreeing: holder =>
        model.freeing.has(holderKey(holder)) || stopping(holder),
      free: (gpu, holder) =>
        void commands.execute(CommandIDs.freeMemory, {
          gpu: gpu.uuid,
          holder: holderKey(holder)
        })
    };
  }

  private readonly onChanged = (): void => this.pace.invoke();
  private readonly pace = new Pace(() => this.update());
}
