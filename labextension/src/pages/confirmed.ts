// Asks whether something is to be done that cannot be taken back, or that others feel.

import { Dialog, showDialog } from '@jupyterlab/apputils';

export interface Question {
  readonly title: string;
  /** What will happen. */
  readonly body: string;
  /** What the button says that leaves all as it is; it has the focus. */
  readonly keep: string;
  /** What the button says that does it. */
  readonly go: string;
}

export async function confirmed(question: Question): Promise<boolean> {
  const { title, body, keep, go } = question;
  const { button } = await showDialog({
    title,
    body,
    defaultButton: 0,
    buttons: [
      Dialog.cancelButton({ label: keep }),
      Dialog.warnButton({ label: go })
    ]
  });
  return button.accept;
}
