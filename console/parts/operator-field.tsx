import type { JSX } from 'preact'
import { useId, useState } from 'preact/hooks'
import { becomeOperator } from '../frame/operator.js'
import { CopyButton } from './copy-button.js'

const COMMAND = 'millrace token --operator'

/** Takes the token of an operator. @param props.what that needs it, as "applies drafts" */
export function OperatorField({ what }: { what: string }): JSX.Element {
  const id = useId()
  const [text, setText] = useState('')
  return (
    <form
      class="stack tight"
      onSubmit={(event) => {
        event.preventDefault()
        becomeOperator(text.trim())
      }}
    >
      <p class="q">
        Only an operator {what}. On the machine of the node this prints a token for it: <code>{COMMAND}</code>
      </p>
      <div class="row">
        <CopyButton text={COMMAND} label="Copy command" />
        <label class="vh" for={id}>
          Token of an operator
        </label>
        <input
          class="in m operator-token"
          id={id}
          type="password"
          value={text}
          placeholder="token"
          autocomplete="off"
          onInput={(event) => {
            setText(event.currentTarget.value)
          }}
        />
        <button class="btn" type="submit" disabled={text.trim() === ''}>
          Use token
        </button>
      </div>
    </form>
  )
}
