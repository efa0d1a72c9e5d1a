// The endpoints section of the sidebar as a widget.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import React from 'react';
import { Pace } from '../sections/Pace.js';
import { SectionWidget } from '../sections/SectionWidget.js';
import { CommandIDs, type IClient } from '../tokens.js';
import { EndpointsPanel } from './EndpointsPanel.js';
import type { EndpointsModel } from './model.js';

export interface EndpointsSectionOptions {
  readonly model: EndpointsModel;
  readonly client: IClient;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
}

export class EndpointsSection extends SectionWidget {
  constructor(private readonly options: EndpointsSectionOptions) {
    super(options.client, options.trans);
    this.node.dataset.testid = 'snapml-endpoints';
    options.model.changed.connect(this.onChanged);
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.options.model.changed.disconnect(this.onChanged);
    this.options.model.awake = false;
    this.pace.dispose();
    super.dispose();
  }

  protected override seen(visible: boolean): void {
    this.options.model.awake = visible;
    super.seen(visible);
  }

  protected content(): React.JSX.Element {
    const { model } = this.options;
    return (
      <EndpointsPanel
        picture={model.picture}
        problem={model.problem}
        stopping={model.stopping}
        onStop={this.onStop}
        onOpen={this.onOpen}
        onKeys={this.onKeys}
      />
    );
  }

  private readonly onStop = (name: string): void => {
    void this.options.commands.execute(CommandIDs.stopEndpoint, { name });
  };

  private readonly onOpen = (name: string): void => {
    void this.options.commands.execute(CommandIDs.openEndpoint, { name });
  };

  private readonly onKeys = (): void => {
    void this.options.commands.execute(CommandIDs.openKeys);
  };

  private readonly onChanged = (): void => this.pace.invoke();
  private readonly pace = new Pace(() => this.update());
}
