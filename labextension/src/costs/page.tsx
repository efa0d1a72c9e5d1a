// The page of costs as a widget.

import React from 'react';
import type { Costs } from '../api/generated.js';
import { type PageOptions, PageWidget } from '../pages/PageWidget.js';
import { CostPage } from './CostPage.js';
import type { By } from './totals.js';

const DAYS = 30;
/** Requests listed. */
const LATEST = 100;

export class CostPageWidget extends PageWidget<'cost'> {
  constructor(options: PageOptions) {
    super(options, 'cost', { by: 'day', days: DAYS }, 'snapml-cost-page');
    this.groups = this.beside('cost', { by: this.by, days: DAYS });
    this.work = this.beside('jobs/cost', { by: 'kind', days: DAYS });
    this.latest = this.beside('requests/list', { limit: LATEST });
  }

  protected titleOf(): string {
    return this.trans.__('Cost');
  }

  protected draw(value: Costs): React.JSX.Element {
    return (
      <CostPage
        days={value}
        groups={this.groups.value}
        jobs={this.work.value}
        requests={this.latest.value?.requests ?? []}
        by={this.by}
        span={this.span}
        onBy={this.onBy}
        onSpan={this.onSpan}
      />
    );
  }

  private by: By = 'model';
  private span = DAYS;
  private readonly groups;
  private readonly work;
  private readonly latest;

  private readonly onBy = (by: By): void => {
    this.by = by;
    this.groups.ask({ by, days: this.span });
    this.update();
  };

  private readonly onSpan = (span: number): void => {
    this.span = span;
    this.query.ask({ by: 'day', days: span });
    this.groups.ask({ by: this.by, days: span });
    this.work.ask({ by: 'kind', days: span });
    this.update();
  };
}
