// The pages of a run and of runs compared, as widgets.

import React from 'react';
import type { RunComparison, RunPage as Page } from '../api/generated.js';
import { type PageOptions, PageWidget } from '../pages/PageWidget.js';
import { ComparePage } from './ComparePage.js';
import { RunPage } from './RunPage.js';

export class RunPageWidget extends PageWidget<'runs/show'> {
  constructor(options: PageOptions, run: string) {
    super(options, 'runs/show', { run }, 'snapml-run-page');
  }

  protected titleOf(value: Page): string {
    return value.name;
  }

  protected draw(value: Page): React.JSX.Element {
    return <RunPage run={value} />;
  }
}

export class ComparePageWidget extends PageWidget<'runs/compare'> {
  constructor(options: PageOptions, run: [string, ...string[]]) {
    super(options, 'runs/compare', { run }, 'snapml-compare-page');
  }

  protected titleOf(value: RunComparison): string {
    return this.trans.__('%1 runs compared', value.runs.length);
  }

  protected draw(value: RunComparison): React.JSX.Element {
    return <ComparePage comparison={value} />;
  }
}
