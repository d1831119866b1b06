import { useState } from "preact/hooks";
import { api, Refused } from "./api";

export function Login(props: { onIn: () => void }) {
  const [name, setName] = useState("admin");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  return (
    <main class="login">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          setBusy(true);
          setProblem("");
          api.login(name, password).then(props.onIn, (error: Refused) => {
            setBusy(false);
            setProblem(error.message);
          });
        }}
      >
        <h1>
          <img src="/icon.svg" alt="" width="28" height="28" /> REC.IO
        </h1>
        <label class="field">
          Name
          <input type="text" autoComplete="username" required value={name} onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label class="field">
          Password
          <input
            type="password"
            autoComplete="current-password"
            required
            autoFocus
            value={password}
            onInput={(event) => setPassword(event.currentTarget.value)}
          />
        </label>
        {problem && <p class="bad" role="alert">{problem}</p>}
        <button class="primary" type="submit" disabled={isBusy}>
          Log in
        </button>
        <p class="dim small">`make run` prints the password once, at the first start.</p>
      </form>
    </main>
  );
}
