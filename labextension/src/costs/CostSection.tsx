// The cost section of the sidebar as a widget.

import type { CommandRegistry } from '@lumino/commands';
import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';
import { LiveQuery } from '../sections/LiveQuery.js';
import { Pace } from '../sections/Pace.js';
import { SectionWidget } from '../sections/SectionWidget.js';
import { CommandIDs, type IClient, type IJobsModel } from '../tokens.js';
import { CostPanel } from './CostPanel.js';
import { type By, isBy } from './totals.js';

const STATE_KEY = 'snapml-lab:cost';
const DAYS = 30;
/** Requests listed. */
const LATEST = 10;

export interface CostSectionOptions {
  readonly client: IClient;
  /** Hears of the ledger's revision. */
  readonly jobs: IJobsModel;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
  readonly state: IStateDB | null;
}

export class CostSection extends SectionWidget {
  constructor(private readonly options: CostSectionOptions) {
    super(options.client, options.trans);
    this.node.dataset.testid = 'snapml-cost';
    const { client, jobs } = options;
    this.costs = new LiveQuery(client, 'cost', { by: this.by, days: DAYS });
    this.latest = new LiveQuery(client, 'requests/list', { limit: LATEST });
    this.costs.changed.connect(this.onChanged);
    this.latest.changed.connect(this.onChanged);
    jobs.moved.connect(this.onMoved);
    void this.restore();
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.options.jobs.moved.disconnect(this.onMoved);
    this.costs.dispose();
    this.latest.dispose();
    this.pace.dispose();
    super.dispose();
  }

  protected override seen(visible: boolean): void {
    this.costs.awake = visible;
    this.latest.awake = visible;
    super.seen(visible);
  }

  protected content(): React.JSX.Element {
    return (
      <CostPanel
        costs={this.costs.value}
        requests={this.latest.value?.requests ?? []}
        problem={this.costs.problem ?? this.latest.problem}
        by={this.by}
        onBy={this.onBy}
        onOpen={this.onOpen}
      />
    );
  }

  private choose(by: By): void {
    this.by = by;
    this.costs.ask({ by, days: DAYS });
    this.update();
  }

  private async restore(): Promise<void> {
    const saved = await this.options.state?.fetch(STATE_KEY);
    const by = (saved as { by?: unknown } | undefined)?.by;
    if (isBy(by) && !this.isDisposed) {
      this.choose(by);
    }
  }

  private by: By = 'model';
  private readonly costs: LiveQuery<'cost'>;
  private readonly latest: LiveQuery<'requests/list'>;

  private readonly onBy = (by: By): void => {
    this.choose(by);
    void this.options.state?.save(STATE_KEY, { by });
  };

  private readonly onOpen = (): void =>
    void this.options.commands.execute(CommandIDs.openCosts);

  private readonly onMoved = (): void => {
    this.costs.refresh();
    this.latest.refresh();
  };

  private readonly onChanged = (): void => this.pace.invoke();
  private readonly pace = new Pace(() => this.update());
}
