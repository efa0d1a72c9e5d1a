// The runs section of the sidebar as a widget.

import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import React from 'react';
import { CommandError } from '../api/errors.js';
import { LiveQuery } from '../sections/LiveQuery.js';
import { Pace } from '../sections/Pace.js';
import { SectionWidget } from '../sections/SectionWidget.js';
import { CommandIDs, type IClient, type IJobsModel } from '../tokens.js';
import type { RunList, RunView } from '../api/generated.js';
import { keepSame, remember, toCondition } from './query.js';
import { RunsPanel } from './RunsPanel.js';

const STATE_KEY = 'snapml-lab:runs';
/** Runs listed at first, and those a wish for more adds. */
const FIRST = 50;
const MORE = 200;

export interface RunsSectionOptions {
  readonly client: IClient;
  /** Hears of the ledger's revision. */
  readonly jobs: IJobsModel;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
  readonly state: IStateDB | null;
}

export class RunsSection extends SectionWidget {
  constructor(private readonly options: RunsSectionOptions) {
    super(options.client, options.trans);
    this.node.dataset.testid = 'snapml-runs';
    const { client, jobs } = options;
    this.latest = new LiveQuery(client, 'runs/list', { limit: FIRST });
    this.found = new LiveQuery(client, 'runs/search', { where: '' });
    this.latest.changed.connect(this.onChanged);
    this.found.changed.connect(this.onChanged);
    jobs.moved.connect(this.onMoved);
    void this.restore();
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.options.jobs.moved.disconnect(this.onMoved);
    this.latest.dispose();
    this.found.dispose();
    this.pace.dispose();
    super.dispose();
  }

  protected override seen(visible: boolean): void {
    this.watched = visible;
    this.wake();
    super.seen(visible);
  }

  protected content(): React.JSX.Element {
    const searching = this.search !== '';
    const query = searching ? this.found : this.latest;
    const refused = searching && query.problem instanceof CommandError;
    return (
      <RunsPanel
        list={this.settle(
          refused || (searching && query.value === this.before)
            ? this.shown
            : query.value
        )}
        problem={refused ? null : query.problem}
        search={this.search}
        refusal={refused ? query.problem : null}
        history={this.history}
        marked={this.marked}
        onSearch={this.onSearch}
        onMark={this.onMark}
        onClear={this.onClear}
        onOpen={this.onOpen}
        onCompare={this.onCompare}
        onMore={this.onMore}
      />
    );
  }

  /** Rows that did not change stay the same objects, so that they can rest. */
  private settle(list: RunList | null): RunList | null {
    this.shown = list ?? this.shown;
    if (list !== null && list !== this.settled?.from) {
      const runs = keepSame(this.settled?.runs ?? [], list.runs);
      this.settled = { from: list, runs };
    }
    return list === null ? null : { ...list, runs: this.settled?.runs ?? [] };
  }

  /** Only the list that is shown is kept current. */
  private wake(): void {
    const searching = this.search !== '';
    this.latest.awake = this.watched && !searching;
    this.found.awake = this.watched && searching;
  }

  /** What was meant, or led somewhere, is worth asking again. */
  private keep(text: string): void {
    if (text !== '' && text !== this.history[0]) {
      this.history = remember(this.history, text);
      const { history } = this;
      void this.options.state?.save(STATE_KEY, { history });
      this.update();
    }
  }

  private async restore(): Promise<void> {
    const saved = await this.options.state?.fetch(STATE_KEY);
    const history = (saved as { history?: unknown } | undefined)?.history;
    if (Array.isArray(history) && !this.isDisposed) {
      this.history = history.filter(entry => typeof entry === 'string');
      this.update();
    }
  }

  /** What an earlier search had found, until this one has. */
  private before: RunList | null = null;
  /** What was shown last: it stays below what is wrong with a search. */
  private shown: RunList | null = null;
  private settled: { from: RunList; runs: RunView[] } | null = null;
  private search = '';
  private limit = FIRST;
  private watched = false;
  private history: string[] = [];
  private marked: ReadonlySet<string> = new Set();
  private readonly latest: LiveQuery<'runs/list'>;
  private readonly found: LiveQuery<'runs/search'>;

  private readonly onSearch = (text: string, meant: boolean): void => {
    if (meant) {
      this.keep(text);
    }
    if (text === this.search) {
      return;
    }
    this.search = text;
    this.limit = FIRST;
    if (text !== '') {
      this.before = this.found.value;
      this.found.ask({ where: toCondition(text), limit: FIRST });
    } else {
      this.latest.ask({ limit: FIRST });
    }
    this.wake();
    this.update();
  };

  private readonly onMark = (run: string, marked: boolean): void => {
    const others = [...this.marked].filter(id => id !== run);
    this.marked = new Set(marked ? [...others, run] : others);
    this.update();
  };

  private readonly onClear = (): void => {
    this.marked = new Set();
    this.update();
  };

  private readonly onOpen = (run: string): void => {
    this.keep(this.search);
    void this.options.commands.execute(CommandIDs.openRun, { run });
  };

  private readonly onCompare = (): void => {
    const runs = [...this.marked];
    void this.options.commands.execute(CommandIDs.compareRuns, { runs });
  };

  private readonly onMore = (): void => {
    const limit = (this.limit += MORE);
    if (this.search !== '') {
      this.found.ask({ where: toCondition(this.search), limit });
    } else {
      this.latest.ask({ limit });
    }
  };

  private readonly onMoved = (): void => {
    this.latest.refresh();
    this.found.refresh();
  };

  private readonly onChanged = (): void => this.pace.invoke();
  private readonly pace = new Pace(() => this.update());
}
