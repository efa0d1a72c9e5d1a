// The approvals section of the sidebar as a widget; its title counts what is open.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import React from 'react';
import { LiveQuery } from '../sections/LiveQuery.js';
import { Pace } from '../sections/Pace.js';
import { SectionWidget } from '../sections/SectionWidget.js';
import { CommandIDs, type IClient, type IJobsModel } from '../tokens.js';
import { ApprovalsPanel } from './ApprovalsPanel.js';

/** Requests listed. */
const MOST_OPEN = 500;
const MOST = 200;
/** Milliseconds between looks for the title's count, while the section is closed. */
const GLANCE_MS = 15_000;

export interface ApprovalsSectionOptions {
  readonly client: IClient;
  /** Hears of the ledger's revision. */
  readonly jobs: IJobsModel;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
  readonly title: string;
}

export class ApprovalsSection extends SectionWidget {
  constructor(private readonly options: ApprovalsSectionOptions) {
    super(options.client, options.trans);
    this.node.dataset.testid = 'snapml-approvals';
    const { client, jobs } = options;
    this.waiting = new LiveQuery(client, 'approvals/list', {
      state: 'waiting',
      limit: MOST_OPEN
    });
    this.latest = new LiveQuery(client, 'approvals/list', { limit: MOST });
    this.waiting.changed.connect(this.onChanged);
    this.latest.changed.connect(this.onChanged);
    jobs.moved.connect(this.onMoved);
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.options.jobs.moved.disconnect(this.onMoved);
    this.waiting.dispose();
    this.latest.dispose();
    this.pace.dispose();
    super.dispose();
  }

  protected override seen(visible: boolean): void {
    this.waiting.awake = visible;
    this.latest.awake = visible;
    super.seen(visible);
  }

  protected content(): React.JSX.Element {
    const { waiting, latest } = this;
    const open = waiting.value?.promotions ?? null;
    return (
      <ApprovalsPanel
        waiting={latest.value === null ? null : open}
        latest={latest.value?.promotions ?? []}
        problem={waiting.problem ?? latest.problem}
        search={this.search}
        onSearch={this.onSearch}
        onOpen={this.onOpen}
      />
    );
  }

  /** The closed section's title is in view as long as the sidebar is. */
  private glance(): void {
    const seen = this.parent?.isVisible === true && !document.hidden;
    if (seen && Date.now() - this.glanced >= GLANCE_MS) {
      this.glanced = Date.now();
      this.waiting.glance();
    }
  }

  private search = '';
  private glanced = -Infinity;
  private readonly waiting: LiveQuery<'approvals/list'>;
  private readonly latest: LiveQuery<'approvals/list'>;

  private readonly onSearch = (search: string): void => {
    this.search = search;
    this.update();
  };

  private readonly onOpen = (approval: string): void => {
    void this.options.commands.execute(CommandIDs.openApproval, { approval });
  };

  private readonly onMoved = (): void => {
    if (this.isVisible) {
      this.waiting.refresh();
      this.latest.refresh();
    } else {
      this.glance();
    }
  };

  private readonly onChanged = (): void => {
    const { title, trans } = this.options;
    const open = this.waiting.value?.promotions.length ?? 0;
    this.title.label = open === 0 ? title : trans.__('%1 (%2)', title, open);
    this.pace.invoke();
  };

  private readonly pace = new Pace(() => this.update());
}
