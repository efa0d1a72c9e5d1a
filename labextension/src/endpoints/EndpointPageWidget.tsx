// The page of an endpoint as a widget.

import React from 'react';
import type { EndpointView } from '../api/generated.js';
import { type PageOptions, PageWidget } from '../pages/PageWidget.js';
import { CommandIDs } from '../tokens.js';
import { type Back, EndpointPage } from './EndpointPage.js';
import { heldBy, type Held, remember } from './memory.js';

const MINUTE_MS = 60_000;

export class EndpointPageWidget extends PageWidget<'endpoints/show'> {
  constructor(
    private readonly page: PageOptions,
    private readonly endpoint: string
  ) {
    super(
      page,
      'endpoints/show',
      { name: endpoint, minutes: 15 },
      'snapml-endpoint-page'
    );
    this.budgets = this.beside('budgets/list', { deployment: endpoint });
    this.rollout = this.beside('rollout/show', { name: endpoint });
    this.query.changed.connect(this.onAnswer);
  }

  protected titleOf(value: EndpointView): string {
    return value.name;
  }

  protected draw(value: EndpointView): React.JSX.Element {
    return (
      <EndpointPage
        endpoint={value}
        held={this.held}
        rollout={this.rollout.value}
        budgets={this.budgets.value?.budgets ?? null}
        back={this.back}
        onBack={this.onBack}
        onStop={this.onStop}
        onKeys={this.onKeys}
      />
    );
  }

  protected override seen(visible: boolean): void {
    super.seen(visible);
    this.follow();
  }

  /** Models are compared where there are several. */
  private follow(): void {
    const several = (this.query.value?.targets.length ?? 0) > 1;
    this.rollout.awake = this.isVisible && several;
  }

  private readonly budgets;
  private readonly rollout;
  private back: Back = '15';
  private held: readonly Held[] = [];

  private readonly onAnswer = (): void => {
    const { value } = this.query;
    this.follow();
    if (value !== null) {
      this.held = remember(
        this.held,
        heldBy(value),
        Number(this.back) * MINUTE_MS
      );
    }
  };

  private readonly onBack = (back: Back): void => {
    this.back = back;
    this.query.ask({ name: this.endpoint, minutes: Number(back) });
    this.update();
  };

  private readonly onStop = (): void => {
    const { commands } = this.page;
    const args = { name: this.endpoint };
    void commands
      .execute(CommandIDs.stopEndpoint, args)
      .then(() => this.query.refresh());
  };

  private readonly onKeys = (): void => {
    void this.page.commands.execute(CommandIDs.openKeys);
  };
}
