// The models section of the sidebar as a widget.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import React from 'react';
import { LiveQuery } from '../sections/LiveQuery.js';
import { Pace } from '../sections/Pace.js';
import { SectionWidget } from '../sections/SectionWidget.js';
import { CommandIDs, type IClient, type IJobsModel } from '../tokens.js';
import { ModelsPanel } from './ModelsPanel.js';

/** Versions listed at first, and those a wish for more adds. */
const FIRST = 100;
const MORE = 400;

export interface ModelsSectionOptions {
  readonly client: IClient;
  /** Hears of the ledger's revision. */
  readonly jobs: IJobsModel;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
}

export class ModelsSection extends SectionWidget {
  constructor(private readonly options: ModelsSectionOptions) {
    super(options.client, options.trans);
    this.node.dataset.testid = 'snapml-models';
    this.query = new LiveQuery(options.client, 'models/list', {
      limit: FIRST
    });
    this.query.changed.connect(this.onChanged);
    options.jobs.moved.connect(this.onMoved);
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.options.jobs.moved.disconnect(this.onMoved);
    this.query.dispose();
    this.pace.dispose();
    super.dispose();
  }

  protected override seen(visible: boolean): void {
    this.query.awake = visible;
    super.seen(visible);
  }

  protected content(): React.JSX.Element {
    const { value, problem } = this.query;
    return (
      <ModelsPanel
        list={value}
        problem={problem}
        search={this.search}
        more={(value?.models.length ?? 0) >= this.limit}
        onSearch={this.onSearch}
        onOpen={this.onOpen}
        onMore={this.onMore}
      />
    );
  }

  private search = '';
  private limit = FIRST;
  private readonly query: LiveQuery<'models/list'>;

  private readonly onSearch = (search: string): void => {
    if (search !== this.search) {
      this.search = search;
      this.limit = FIRST;
      this.query.ask({ search, limit: FIRST });
      this.update();
    }
  };

  private readonly onOpen = (model: string): void => {
    void this.options.commands.execute(CommandIDs.openModel, { model });
  };

  private readonly onMore = (): void => {
    this.limit += MORE;
    this.query.ask({ search: this.search, limit: this.limit });
  };

  private readonly onMoved = (): void => this.query.refresh();
  private readonly onChanged = (): void => this.pace.invoke();
  private readonly pace = new Pace(() => this.update());
}
