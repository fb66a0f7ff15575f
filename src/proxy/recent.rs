//! Where did the last request of a client go? The next one nearly always goes to the same service of the same peer.

use libp2p_identity::PeerId;

use crate::{
    failure::Failure,
    proxy::hosts::{Hosts, Place},
    route::{Route, RouteError},
    service::{Protocol, ServiceName},
};

/// What the last request on a connection named. To read a peer id takes longer than all else there is to a small head.
#[derive(Default)]
pub(super) struct Recent {
    route: Option<Box<Known>>,
    host: Option<Box<KnownHost>>,
}

struct Known {
    prefix: Box<str>,
    peer: PeerId,
    protocol: Protocol,
}

struct KnownHost {
    authority: Box<str>,
    peer: PeerId,
    service: ServiceName,
}

impl Recent {
    /// Reads the target of a request as [`Route::parse`] does. The target is that of a head, which holds no character
    /// that `parse` would refuse.
    pub(super) fn route<'a>(&mut self, target: &'a str) -> Result<Route<'a>, RouteError> {
        if let Some(route) = self.route.as_ref().and_then(|known| known.route(target)) {
            return Ok(route);
        }
        let route = Route::parse(target)?;
        self.route = Some(Box::new(Known {
            prefix: route.prefix.into(),
            peer: route.peer,
            protocol: route.protocol.clone(),
        }));
        Ok(route)
    }

    /// Finds what is at a host as [`Hosts::find`] does, always among the same hosts.
    pub(super) fn place<'h>(
        &mut self,
        hosts: Hosts<'h>,
        authority: &str,
    ) -> Result<Place<'h>, Failure> {
        if let Some(known) = &self.host
            && *known.authority == *authority
        {
            return Ok(Place::Service(known.peer, known.service.clone()));
        }
        let place = hosts.find(authority)?;
        if let Place::Service(peer, service) = &place {
            self.host = Some(Box::new(KnownHost {
                authority: authority.into(),
                peer: *peer,
                service: service.clone(),
            }));
        }
        Ok(place)
    }
}

impl Known {
    /// The route of a target that begins with the same segments. They are whole, as a slash follows, and hold no `?`,
    /// so what comes behind them changes nothing about them.
    fn route<'a>(&self, path_and_query: &'a str) -> Option<Route<'a>> {
        let target = path_and_query.strip_prefix(&*self.prefix)?;
        target.starts_with('/').then(|| Route {
            peer: self.peer,
            protocol: self.protocol.clone(),
            target,
            prefix: &path_and_query[..self.prefix.len()],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{proxy::hosts::Reach, route::Domain};

    const ONE: &str = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";
    const OTHER: &str = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";

    #[test]
    fn every_target_means_the_same_whichever_came_before() {
        let mut targets = vec!["/".to_owned(), "*".to_owned(), "http://x".to_owned()];
        for peer in [ONE, OTHER] {
            for route in [
                format!("/http/{peer}/app"),
                format!("/http/{peer}/application"),
                format!("/http/proxy/{peer}/app"),
                format!("/p2p/{peer}/http"),
                format!("/p2p/{peer}/x/app/http"),
            ] {
                for rest in ["", "/", "?a=/", "/b?c=/d", "//", "s/", "/x/app/http/"] {
                    targets.push(format!("{route}{rest}"));
                    targets.push(format!("http://host.example{route}{rest}"));
                }
            }
        }
        for first in &targets {
            for second in &targets {
                let mut recent = Recent::default();
                for target in [first, second, first] {
                    assert_eq!(recent.route(target), Route::parse(target));
                }
            }
        }
    }

    #[test]
    fn the_route_of_the_last_request_is_not_read_again() {
        let mut recent = Recent::default();
        let name = |recent: &mut Recent, target: &str| {
            let route = recent.route(target).expect("is a route");
            route.protocol.service().map(|name| name.as_str().as_ptr())
        };
        let targets = [
            format!("/http/{ONE}/app/"),
            format!("/http/{ONE}/app/more?q"),
            format!("/http/{OTHER}/app/"),
        ];
        let [first, same, other] = targets.map(|target| name(&mut recent, &target));
        assert_eq!(first, same);
        assert_ne!(first, other);
    }

    #[test]
    fn the_host_of_the_last_request_is_not_read_again() {
        let domains = [Domain::localhost()];
        let hosts = Hosts {
            domains: &domains,
            reach: Reach::default(),
        };
        let mut recent = Recent::default();
        let mut find = |authority: &str| recent.place(hosts, authority);
        let host = |name: &str| {
            let name = ServiceName::new(name).expect("is a name");
            let peer = ONE.parse().expect("is a peer id");
            Domain::localhost()
                .host_of(&peer, &name)
                .expect("is a label")
        };
        let (app, other) = (host("app"), host("other"));
        let mut names = Vec::new();
        for authority in [&app, &app, &other, &app] {
            let expected = hosts.find(authority);
            let found = find(authority);
            assert_eq!(found.as_ref().ok(), expected.as_ref().ok());
            if let Ok(Place::Service(_, name)) = found {
                names.push(name.as_str().as_ptr());
            }
            assert!(matches!(find("localhost"), Ok(Place::Gateway(Some(_)))));
            assert!(find("evil.example").is_err());
        }
        assert_eq!(names.len(), 4);
        assert_eq!(names[0], names[1]);
    }
}
