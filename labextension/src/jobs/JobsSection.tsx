// The jobs section of the sidebar as a widget: from the model's signal, through
// a pace, to React.

import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import React from 'react';
import type { JobView } from '../api/generated.js';
import { contentsPath } from '../notebooks/openCell.js';
import { queueActions } from '../queues/actions.js';
import { QueuesModel } from '../queues/model.js';
import { QueuesBar } from '../queues/QueuesBar.js';
import { Pace } from '../sections/Pace.js';
import { SectionWidget } from '../sections/SectionWidget.js';
import { CommandIDs, type IClient, type IJobsModel } from '../tokens.js';
import {
  type JobActions,
  JobActionsProvider,
  type Wanted,
  WantedProvider
} from './context.js';
import { describeChanges } from './format.js';
import { JobsPanel } from './JobsPanel.js';
import { type Filter, isFilter } from './tree.js';

const STATE_KEY = 'snapml-lab:jobs';

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
    this.actions = actions(options);
    this.queues = new QueuesModel(options.client, options.model);
    this.queueActions = queueActions(this.queues, options.trans);
    this.queues.changed.connect(this.onChanged);
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
    this.queues.dispose();
    this.pace.dispose();
    super.dispose();
  }

  /** Show a job's row, whatever the filter. False where the job is not listed. */
  reveal(job: string, log: boolean): boolean {
    const found = this.options.model.jobs.get(job);
    if (found === undefined) {
      return false;
    }
    if (this.filter !== 'all') {
      this.setFilter('all');
    }
    this.wanted = { job, log, turn: (this.wanted?.turn ?? 0) + 1 };
    this.update();
    return true;
  }

  protected override seen(visible: boolean): void {
    this.queues.awake = visible;
    super.seen(visible);
  }

  protected content(): React.JSX.Element {
    return (
      <JobActionsProvider value={this.actions}>
        <WantedProvider value={this.wanted}>
          <JobsPanel
            model={this.options.model}
            filter={this.filter}
            onFilter={filter => this.setFilter(filter)}
            announcement={this.announcement}
            queues={
              <QueuesBar
                queues={this.queues.queues}
                actions={this.queueActions}
              />
            }
          />
        </WantedProvider>
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
  private wanted: Wanted | null = null;
  private readonly actions: JobActions;
  private readonly queues: QueuesModel;
  private readonly queueActions: ReturnType<typeof queueActions>;
  private readonly onChanged = (): void => this.pace.invoke();
  private readonly pace = new Pace(() => this.draw());
}

function actions(options: JobsSectionOptions): JobActions {
  const { commands, model } = options;
  return {
    nameOf: job => model.jobs.get(job)?.name ?? null,
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
