// A page of the main area: the answer of one reading command, kept current while it is looked at.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { CommandRegistry } from '@lumino/commands';
import React from 'react';
import type { Commands } from '../api/generated.js';
import { snapmlIcon } from '../icons.js';
import { LiveQuery } from '../sections/LiveQuery.js';
import { Pace } from '../sections/Pace.js';
import { Problem } from '../sections/Problem.js';
import { SeenWidget } from '../sections/SeenWidget.js';
import type { IClient, IJobsModel } from '../tokens.js';
import { linksOf, type PageActions, PageProvider } from './context.js';

/** Of what is read beside. */
const SLOW_MS = 3_000;

/** What is used of any query. */
interface Reading extends IDisposable {
  awake: boolean;
  refresh(): void;
}

export interface PageOptions {
  readonly client: IClient;
  /** Hears of the ledger's revision. */
  readonly jobs: IJobsModel;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
}

export abstract class PageWidget<
  C extends keyof Commands = keyof Commands
> extends SeenWidget {
  constructor(
    private readonly options: PageOptions,
    command: C,
    params: Commands[C]['params'],
    /** Start of its parts' test ids. */
    protected readonly testid: string
  ) {
    super(options.client, options.trans);
    this.addClass('snapml-Page');
    this.node.dataset.testid = testid;
    this.title.icon = snapmlIcon;
    this.query = new LiveQuery(options.client, command, params);
    this.query.changed.connect(this.onChanged);
    options.jobs.moved.connect(this.onMoved);
    this.actions = {
      ...linksOf(options.commands),
      reload: this.onMoved
    };
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.options.jobs.moved.disconnect(this.onMoved);
    for (const query of [this.query, ...this.others]) {
      query.dispose();
    }
    this.pace.dispose();
    super.dispose();
  }

  /** What the tab is called, once that is known. */
  protected abstract titleOf(value: Commands[C]['result']): string;

  protected abstract draw(value: Commands[C]['result']): React.JSX.Element;

  /** Read something beside, too, but less often. */
  protected beside<B extends keyof Commands>(
    command: B,
    params: Commands[B]['params']
  ): LiveQuery<B> {
    const { client } = this.options;
    const query = new LiveQuery(client, command, params, undefined, SLOW_MS);
    query.changed.connect(this.onChanged);
    this.others.push(query);
    return query;
  }

  protected override seen(visible: boolean): void {
    for (const query of [this.query, ...this.others]) {
      query.awake = visible;
    }
    super.seen(visible);
  }

  protected content(): React.JSX.Element {
    const { value, problem } = this.query;
    return (
      <PageProvider value={this.actions}>
        <Problem
          error={problem}
          loaded={value !== null}
          testid={`${this.testid}-problem`}
        />
        {value !== null
          ? this.draw(value)
          : problem === null && (
              <p className="snapml-Quiet">{this.trans.__('Reading…')}</p>
            )}
      </PageProvider>
    );
  }

  protected readonly query: LiveQuery<C>;
  /** What is read beside. */
  private readonly others: Reading[] = [];
  private readonly actions: PageActions;

  private readonly onMoved = (): void => {
    for (const query of [this.query, ...this.others]) {
      query.refresh();
    }
  };

  private readonly onChanged = (): void => {
    const { value } = this.query;
    if (value !== null) {
      this.title.label = this.titleOf(value);
      this.title.caption = this.title.label;
    }
    this.pace.invoke();
  };

  private readonly pace = new Pace(() => this.update());
}
