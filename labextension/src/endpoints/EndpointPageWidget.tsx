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
        back={this.back}
        onBack={this.onBack}
        onStop={this.onStop}
        onKeys={this.onKeys}
      />
    );
  }

  private back: Back = '15';
  private held: readonly Held[] = [];

  private readonly onAnswer = (): void => {
    const { value } = this.query;
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
