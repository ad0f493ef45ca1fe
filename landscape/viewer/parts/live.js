// Only in pages that a running `landscape view --live` serves: asks it for newer values, and draws them.

const PAUSE = 1000; // milliseconds between two questions

async function askServer(version) {
  const answer = await fetch(`news?since=${version}`, { cache: 'no-store' });
  if (answer.status === 204) return null;
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  return answer.json();
}

async function takeNews(news) {
  await load(news.data);
  if (!metricOf(view.metric)) view.metric = data.metric;
  fillChoices();
  document.getElementById('about').innerHTML = news.about; // escaped where it was made, and the policy lets nothing in it run
  await redraw();
}

function showProgress(text, state) {
  const live = document.getElementById('live');
  live.hidden = false;
  if (live.textContent !== text) live.textContent = text; // those who listen hear it once
  live.className = state;
}

async function followServer() {
  let version = 0;
  for (;;) {
    try {
      const news = await askServer(version);
      if (news) {
        version = news.version;
        if (news.data) await takeNews(news);
        showProgress(news.progress, news.complete ? 'done' : news.resting ? 'resting' : '');
        if (news.complete) return;
      }
    } catch {
      showProgress('The server does not answer: it has ended, or is asleep. What was measured so far stays here.', 'resting');
    }
    await new Promise((resolve) => { setTimeout(resolve, PAUSE); });
  }
}
