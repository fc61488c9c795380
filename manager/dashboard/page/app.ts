import htm from 'htm';
import { type ComponentChildren, h, render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { LoadPicture, NodePicture, Picture, ServicePicture, TaskPicture } from '../picture.ts';

type Html = (strings: TemplateStringsArray, ...values: unknown[]) => ComponentChildren;
// The package's types describe its CommonJS form; a browser gets the function itself.
const html = (htm as unknown as { bind(create: typeof h): Html }).bind(h);
const RECONNECT_MS = 1_000;

/** The newest picture, and whether the feed that brings them is up. */
function useFeed(): { picture: Picture | undefined; live: boolean } {
  const [picture, setPicture] = useState<Picture>();
  const [live, setLive] = useState(false);
  useEffect(() => {
    let socket: WebSocket;
    let stopped = false;
    const connect = (): void => {
      socket = new WebSocket(`ws://${location.host}/feed`);
      socket.onopen = () => setLive(true);
      socket.onmessage = ({ data }) => setPicture(JSON.parse(data as string) as Picture);
      socket.onclose = () => {
        setLive(false);
        if (!stopped) setTimeout(connect, RECONNECT_MS);
      };
    };
    connect();
    return () => {
      stopped = true;
      socket.close();
    };
  }, []);
  return { picture, live };
}

function App(): ComponentChildren {
  const { picture, live } = useFeed();
  if (picture === undefined) return html`<p class="quiet">waiting for the first picture …</p>`;
  return html`
    <header>
      <h1>Shoal</h1>
      <span class=${live ? 'live' : 'stale'}>${live ? 'live' : 'connection lost, trying again'}</span>
      <span class="quiet">leader ${picture.leader || 'none'} · version ${picture.version}</span>
    </header>
    ${picture.load && html`<${Load} load=${picture.load} />`}
    <section class="services">${picture.services.map((service) => html`<${Service} key=${service.id} ...${service} />`)}</section>
    <section class="nodes">${picture.nodes.map((node) => html`<${Node} key=${node.id} ...${node} />`)}</section>
    ${picture.waiting.map(({ name, reason }) => html`<p class="waiting" key=${name}><b>${name}</b> waits: ${reason}</p>`)}
  `;
}

function Load({ load }: { load: LoadPicture }): ComponentChildren {
  const versions = Object.entries(load.versions).sort(([a], [b]) => a.localeCompare(b));
  return html`
    <section class="load">
      <div><b>${load.sent.toLocaleString('en')}</b> requests sent</div>
      <div class=${load.failed ? 'bad' : 'good'}><b>${load.failed.toLocaleString('en')}</b> failed</div>
      ${versions.map(([name, count]) => html`<div key=${name}><b>${count.toLocaleString('en')}</b> ${name}</div>`)}
    </section>
  `;
}

function Service(service: ServicePicture): ComponentChildren {
  const share = service.wanted === 0 ? 1 : Math.min(1, service.running / service.wanted);
  return html`
    <article class="service">
      <h2>${service.name} <span class="quiet">${service.image} ${service.ports.join(' ')}</span></h2>
      <div class="bar"><i style=${{ width: `${share * 100}%` }}></i></div>
      <p><b>${service.running}</b> of ${service.wanted} running ${service.update && html`<${Update} ...${service.update} />`}</p>
    </article>
  `;
}

function Update({ state, message }: { state: string; message: string }): ComponentChildren {
  return html`<span class=${`update ${state}`} title=${message}>${state.replaceAll('_', ' ')}</span>`;
}

function Node(node: NodePicture): ComponentChildren {
  const state = node.availability === 'active' ? node.state : `${node.state}, ${node.availability}`;
  return html`
    <article class=${`node ${node.state} ${node.availability}`}>
      <h2>${node.name} <span class="quiet">${node.leader ? 'leader' : node.role} · ${state}</span></h2>
      <div class="tasks">
        ${node.tasks.map((task) => html`<${Task} key=${task.id} ...${task} />`)}
        ${node.more > 0 && html`<span class="quiet">and ${node.more} more</span>`}
      </div>
    </article>
  `;
}

function Task(task: TaskPicture): ComponentChildren {
  const classes = ['task', task.state, task.current ? 'current' : 'older', task.leaving ? 'leaving' : ''];
  return html`<span class=${classes.join(' ')} title=${`${task.name}: ${task.state}`}>${task.name}</span>`;
}

render(h(App, {}), document.body);
