// React in a widget, and a word when somebody starts or stops looking.

import { ReactWidget } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import React from 'react';
import type { IClient } from '../tokens.js';
import { type SectionContext, SectionProvider } from './context.js';

export abstract class SeenWidget extends ReactWidget {
  constructor(
    protected readonly client: IClient,
    protected readonly trans: TranslationBundle
  ) {
    super();
  }

  /** What stands in it now. */
  protected abstract content(): React.JSX.Element;

  /** Called when it comes into view or leaves it. */
  protected seen(visible: boolean): void {
    this.visible = visible;
    this.update();
  }

  protected render(): React.JSX.Element {
    return (
      <SectionProvider value={this.section()}>{this.content()}</SectionProvider>
    );
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.seen(this.isVisible);
  }

  protected override onAfterShow(): void {
    this.seen(this.isVisible);
  }

  protected override onAfterHide(): void {
    this.seen(this.isVisible);
  }

  /** The same object until something in it changes, so that rows can rest. */
  private section(): SectionContext {
    const { client, trans, visible } = this;
    if (this._section?.visible !== visible) {
      this._section = { client, trans, visible };
    }
    return this._section;
  }

  private visible = false;
  private _section: SectionContext | null = null;
}
