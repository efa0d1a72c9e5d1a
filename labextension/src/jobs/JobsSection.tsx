// The jobs section of the sidebar as a widget: from the model's signal, through
// a throttler, to React.

import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { Throttler } from '@lumino/polling';
import React from 'react';
import type { JobView } from '../api/generated.js';
import { contentsPath } from '../notebooks/openCell.js';
import { SectionWidget } from '../sections/SectionWidget.js';
import { CommandIDs, type IClient, type IJobsModel } from '../tokens.js';
import { type JobActions, JobActionsProvider } from './context.js';
import { describeChanges } from './format.js';
import { JobsPanel } from './JobsPanel.js';
import { type Filter, isFilter } from './tree.js';

const STATE_KEY = 'snapml-lab:jobs';
/** Milliseconds between drawings. */
const PACE_MS = 250;

export interface JobsSectionOptions {
  readonly model: IJobsModel;
  readonly client: IClient;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
  readonly state: IStateDB | null;
}

export class JobsSection extends SectionWidget {
  constructor(private readonly options: JobsSectionOptions) {
    super(options.client, options.trans);
    this.actions = actions(options.commands);
    this.node.dataset.testid = 'snapml-jobs';
    this.announced = options.model.jobs;
    options.model.changed.connect(this.onChanged);
    void this.restore();
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.options.model.changed.disconnect(this.onChanged);
    this.throttler.dispose();
    super.dispose();
  }

  protected content(): React.JSX.Element {
    return (
      <JobActionsProvider value={this.actions}>
        <JobsPanel
          model={this.options.model}
          filter={this.filter}
          onFilter={filter => this.setFilter(filter)}
          announcement={this.announcement}
        />
      </JobActionsProvider>
    );
  }

  private draw(): void {
    const { model, trans } = this.options;
    const news = describeChanges(this.announced, model.jobs, trans);
    this.announced = model.jobs;
    if (news !== '') {
      this.announcement = news;
    }
    this.update();
  }

  private setFilter(filter: Filter): void {
    this.filter = filter;
    this.update();
    void this.options.state?.save(STATE_KEY, { filter });
  }

  private async restore(): Promise<void> {
    const saved = await this.options.state?.fetch(STATE_KEY);
    const filter = (saved as { filter?: unknown } | undefined)?.filter;
    if (isFilter(filter) && !this.isDisposed) {
      this.filter = filter;
      this.update();
    }
  }

  private filter: Filter = 'all';
  private announcement = '';
  private announced: IJobsModel['jobs'];
  private readonly actions: JobActions;
  private readonly onChanged = (): void => void this.throttler.invoke();
  private readonly throttler = new Throttler(() => this.draw(), PACE_MS);
}

function actions(commands: CommandRegistry): JobActions {
  return {
    canOpen: notebook => contentsPath(notebook) !== null,
    cancel: (job: JobView) =>
      void commands.execute(CommandIDs.cancelJob, { job: job.id }),
    goToCell: (job: JobView) =>
      void commands.execute(CommandIDs.openCell, {
        notebook: job.notebook,
        cell: job.cell_id
      })
  };
}
