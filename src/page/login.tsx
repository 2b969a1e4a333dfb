import { useState } from 'preact/hooks'
import { ApiError, send } from './api.js'
import { Trouble } from './trouble.js'

/** Asks for the token, which the server answers with a cookie that no script can read. */
export function Login({ problem: given, onIn }: { problem?: ApiError | undefined; onIn: () => void }) {
  const [error, setError] = useState(given)
  const enter = async (event: SubmitEvent) => {
    event.preventDefault()
    const token = new FormData(event.target as HTMLFormElement).get('token')
    try {
      await send('/api/session', { token })
      onIn()
    } catch (problem) {
      if (problem instanceof ApiError) setError(problem)
      else throw problem
    }
  }
  return (
    <main class="login">
      <form onSubmit={(event) => void enter(event)}>
        <h1>pipe</h1>
        <p>This server wants its token: the value of PIPE_TOKEN where it was started.</p>
        <label>
          Token
          <input type="password" name="token" autocomplete="current-password" required autofocus />
        </label>
        {error ? <Trouble error={error} /> : null}
        <button class="first">Enter</button>
      </form>
    </main>
  )
}
