// What people say of a run: a note, and tags. Both are changed here.

import React, { useId, useState } from 'react';
import type { RunPage } from '../api/generated.js';
import { usePage } from '../pages/context.js';
import { Act, Part, Refusal } from '../pages/parts.js';
import { type Action, useAction } from '../pages/useAction.js';
import { useSection } from '../sections/context.js';

export function RunNotes({ run }: { run: RunPage }): React.JSX.Element {
  const { trans, client } = useSection();
  const { reload } = usePage();
  const action = useAction();
  const tag = (tags: Record<string, string>): Promise<boolean> =>
    action.act(async () => {
      await client.call('runs/tag', { run: run.id, tags });
      reload();
    });
  const note = (text: string): Promise<boolean> =>
    action.act(async () => {
      await client.call('runs/tag', { run: run.id, note: text });
      reload();
    });
  return (
    <Part title={trans.__('Note and tags')} testid="snapml-run-notes">
      <Refusal problem={action.problem} />
      <Note
        key={run.note}
        text={run.note ?? ''}
        action={action}
        onSave={note}
      />
      <ul className="snapml-Tags" aria-label={trans.__('Tags')} role="list">
        {Object.entries(run.tags)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, value]) => (
            <li key={name} className="snapml-Tag" role="listitem">
              <span dir="auto">
                {name}
                {value !== '' && `: ${value}`}
              </span>
              <button
                type="button"
                aria-label={trans.__('Remove tag %1', name)}
                onClick={() => void tag({ [name]: '' })}
              >
                ×
              </button>
            </li>
          ))}
      </ul>
      <NewTag action={action} onAdd={(name, value) => tag({ [name]: value })} />
    </Part>
  );
}

function Note(props: {
  text: string;
  action: Action;
  onSave: (text: string) => Promise<boolean>;
}): React.JSX.Element {
  const { text, action, onSave } = props;
  const { trans } = useSection();
  const [draft, setDraft] = useState<string | null>(null);
  if (draft === null) {
    return (
      <div className="snapml-Note">
        {text !== '' && (
          <p dir="auto" data-testid="snapml-run-note">
            {text}
          </p>
        )}
        <Act onClick={() => setDraft(text)} testid="snapml-note-edit">
          {text === '' ? trans.__('Write a note') : trans.__('Edit note')}
        </Act>
      </div>
    );
  }
  return (
    <div className="snapml-Note">
      <textarea
        autoFocus
        rows={3}
        aria-label={trans.__('Note')}
        value={draft}
        data-testid="snapml-note-text"
        onChange={event => setDraft(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'Escape') {
            event.stopPropagation();
            setDraft(null);
          }
        }}
      />
      <Act
        strong
        busy={action.busy}
        testid="snapml-note-save"
        onClick={() =>
          void onSave(draft).then(saved => {
            if (saved) {
              setDraft(null);
            }
          })
        }
      >
        {trans.__('Save')}
      </Act>
      <Act onClick={() => setDraft(null)}>{trans.__('Leave it')}</Act>
    </div>
  );
}

function NewTag(props: {
  action: Action;
  onAdd: (name: string, value: string) => Promise<boolean>;
}): React.JSX.Element {
  const { action, onAdd } = props;
  const { trans } = useSection();
  const [name, setName] = useState('');
  const [value, setValue] = useState('');
  const names = useId();
  const lacking = name.trim() === '' || value.trim() === '';
  const add = (): void => {
    void onAdd(name.trim(), value.trim()).then(added => {
      if (added) {
        setName('');
        setValue('');
      }
    });
  };
  return (
    <form
      className="snapml-NewTag"
      aria-labelledby={names}
      onSubmit={event => {
        event.preventDefault();
      }}
    >
      <span id={names} className="snapml-heard">
        {trans.__('New tag')}
      </span>
      <input
        aria-label={trans.__('Name of the tag')}
        placeholder={trans.__('tag')}
        value={name}
        data-testid="snapml-tag-name"
        onChange={event => setName(event.target.value)}
      />
      <input
        aria-label={trans.__('Value of the tag')}
        placeholder={trans.__('value')}
        value={value}
        data-testid="snapml-tag-value"
        onChange={event => setValue(event.target.value)}
      />
      <Act
        submit
        onClick={add}
        busy={action.busy}
        barred={lacking ? trans.__('A tag has a name and a value.') : null}
        testid="snapml-tag-add"
      >
        {trans.__('Add tag')}
      </Act>
    </form>
  );
}
