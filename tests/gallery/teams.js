// Draws cards as Teams does, with Microsoft's renderer. `look` is a HostConfig (teams_look.json), `card` an Adaptive Card.
const { AdaptiveCard, HostConfig, SerializationContext, ValidationEvent } = window.AdaptiveCards;

// Teams formats Markdown in TextBlock and Fact, HTML never; this does at least as much as Teams.
const markdown = (window.markdownit ?? window.MarkdownIt)("default", { html: false, linkify: true });
AdaptiveCard.onProcessMarkdown = (text, result) => {
  result.outputHtml = markdown.render(text);
  result.didProcess = true;
};
AdaptiveCard.allowCustomStyle = true;

// The card's element, and what the renderer did not know or had to change; with `open`, the ShowCard of that title is open.
function rendered(card, look, open) {
  const known = new SerializationContext();
  const drawn = new AdaptiveCard();
  drawn.hostConfig = new HostConfig(look);
  drawn.parse(card, known);
  const events = Array.from({ length: known.eventCount }, (_, number) => known.getEventAt(number).message);
  // It counts the buttons of the "…" menu as well, for which there is room.
  const wrong = drawn.validateProperties().validationEvents.filter(({ event }) => event !== ValidationEvent.TooManyActions);
  const issues = wrong.map((event) => event.message);
  const element = drawn.render();
  if (open) [...element.querySelectorAll("button")].find((button) => button.textContent === open).click();
  return { element, events: [...events, ...issues] };
}

function frame(kind, picture, look) {
  const place = document.createElement("div");
  place.className = kind;
  const { element, events } = rendered(picture.card, look, picture.opened);
  const head = document.createElement(picture.title ? "h1" : "div");
  head.textContent = picture.title;
  const card = document.createElement("div");
  card.className = picture.title ? "card dialog" : "card";
  if (picture.title) {
    card.append(head, element);
    place.append(card);
  } else {
    head.className = "from";
    head.innerHTML = "<b>Holdpoint</b>&ensp;10:00";
    card.append(element);
    place.append(head, card);
  }
  return { place, events };
}

// Puts one picture on the page, as on a screen and as on a phone; the events of both.
async function draw(picture, look) {
  const sheet = document.createElement("div");
  sheet.className = "picture";
  sheet.id = picture.name;
  const wide = frame("desktop", picture, look);
  const narrow = frame("phone", picture, look);
  sheet.append(wide.place, narrow.place);
  document.body.replaceChildren(sheet);
  await document.fonts.ready;
  return [...wide.events, ...narrow.events];
}
